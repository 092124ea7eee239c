mod files;
mod system;
