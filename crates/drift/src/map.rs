//! A file mapped into memory, to be read: nothing of it is loaded before somebody looks at it.
#![expect(
    unsafe_code,
    reason = "a mapping has no safe form: the kernel takes it back while slices of it could live"
)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// Of a file that is never written again nor made shorter: ours get a new inode instead.
pub(crate) struct Map {
    at: NonNull<u8>,
    length: usize,
}

// SAFETY: the pages are only read, by whomever.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        if length == 0 {
            return Ok(Self { at: NonNull::dangling(), length });
        }
        let null = std::ptr::null_mut();
        // SAFETY: a new mapping, wherever the kernel likes; no memory of ours is touched.
        let at = unsafe { libc::mmap(null, length, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or_else(|| io::Error::other("the kernel maps to nowhere"))?;
        Ok(Self { at, length })
    }
}

impl std::ops::Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes are mapped there as long as `self` lives (none at all for an empty file).
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.length) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: this mapping is ours, and nobody has a slice of it any more.
            unsafe { libc::munmap(self.at.as_ptr().cast(), self.length) };
        }
    }
}
