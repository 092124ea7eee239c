//! What one stopped call is about to do, told to the layer before it goes on.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use layer::Touch;
use rustix::fs::{AtFlags, CWD, FileType, Stat};

use crate::filter::{Arch, find};
use crate::listener::Keeper;
use crate::places::{Ground, Said, Writing, is_question, writing_to};
use crate::resolve::{Resolver, Spot};
use crate::sys::Notification;
use crate::table::{At, Does, Follow, SET_FLAGS, SUBVOLUMES};
use crate::target::{Descriptor, Target, Trouble, same_file};

/// What a call is about to do, before anything is told to anybody.
enum Deed {
    Nothing,
    Touch(Spot, Touch),
    Remove(Spot),
    /// With `true` both names stay, exchanged.
    Rename(Spot, Spot, bool),
    Link(Option<Spot>, Spot),
    /// Roots and mount namespaces may differ from now on.
    Views,
    Mount(String),
    Final(String),
    /// Something changes that we cannot name.
    Unseen(String),
}

pub(crate) struct Judge {
    resolver: Resolver,
    said: Said,
    /// A write by one name changes what is at the others; a descriptor's own name may be gone.
    names: Names,
}

/// Names that inodes got by links while we watched.
type Names = HashMap<(u64, u64), Vec<PathBuf>>;

const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
const AT_SYMLINK_FOLLOW: u32 = 0x400;
const AT_EMPTY_PATH: u32 = 0x1000;
const RENAME_EXCHANGE: u32 = 2;
const CLONE_NEWNS: u64 = 0x0002_0000;
/// `ADJ_OFFSET_SS_READ`: asks only.
const ASKS: u32 = 0xa001;
const O_TMPFILE: u32 = 0o20_000_000;
/// What is kept before it is sure that it has to be: bytes.
const SMALL: i64 = 16 << 20;

impl Judge {
    pub(crate) fn new() -> Self {
        Self { resolver: Resolver::new(), said: Said::default(), names: HashMap::new() }
    }

    /// `still_waits`: whether what was read until now is really of the process that waits.
    pub(crate) fn hear(
        &mut self,
        call: &Notification,
        keeper: &mut dyn Keeper,
        still_waits: impl FnOnce() -> bool,
    ) -> Result<(), layer::Error> {
        let told = match self.read(call) {
            Ok(Deed::Nothing) => Ok(()),
            Ok(deed) if still_waits() => self.tell(deed, keeper),
            Ok(_) | Err(Trouble::Nothing) => Ok(()),
            Err(Trouble::Layer(error)) => Err(error),
            Err(Trouble::Closed) => {
                let name = Target(call.pid).name().map_or_else(|| "a process".to_owned(), |(_, name)| name);
                let row = Arch::of(call.arch).and_then(|arch| find(arch, call.number));
                let what = row.map_or("a system call", |row| row.name);
                self.unseen(keeper, format!("{name} let nobody look at what it changed ({what})"))
            }
        };
        // Where there is no such place, the kernel tells the program.
        match told {
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ENAMETOOLONG)
                ) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    fn read(&mut self, call: &Notification) -> Result<Deed, Trouble> {
        let Some(arch) = Arch::of(call.arch) else {
            let what = "a program for another processor architecture ran, whose system calls are not known";
            return Ok(Deed::Unseen(what.to_owned()));
        };
        let Some(row) = find(arch, call.number) else { return Ok(Deed::Nothing) };
        Reading {
            resolver: &mut self.resolver,
            names: &self.names,
            target: Target(call.pid),
            args: &call.args,
        }
        .deed(row.does)
    }

    fn tell(&mut self, deed: Deed, keeper: &mut dyn Keeper) -> Result<(), layer::Error> {
        match deed {
            Deed::Nothing => Ok(()),
            Deed::Touch(spot, touch) => self.touch(&spot, touch, keeper),
            // Of what is not there nothing goes: package managers try that before each file.
            Deed::Remove(spot) if spot.ground == Ground::Usual && kind(&spot.path).is_none() => Ok(()),
            Deed::Remove(spot) => self.touch(&spot, Touch::NameGoes, keeper),
            Deed::Rename(from, to, exchange) => self.rename(&from, &to, exchange, keeper),
            Deed::Link(from, to) => {
                if let Some(from) = from {
                    let touch = self.linked(&from.path, &to.path);
                    self.touch(&from, touch, keeper)?;
                }
                self.touch(&to, Touch::New, keeper)
            }
            Deed::Views => {
                self.resolver.views_differ();
                Ok(())
            }
            Deed::Mount(what) => {
                self.resolver.forget();
                self.finally(keeper, what)
            }
            Deed::Final(what) => self.finally(keeper, what),
            Deed::Unseen(what) => self.unseen(keeper, what),
        }
    }

    fn touch(&mut self, spot: &Spot, touch: Touch, keeper: &mut dyn Keeper) -> Result<(), layer::Error> {
        let path = spot.path.as_path();
        match spot.ground {
            Ground::Passing => Ok(()),
            Ground::Elsewhere => {
                let what = format!("changed {} in a mount namespace of its own", path.display());
                self.finally(keeper, what)
            }
            Ground::Kernel if is_question(path) => Ok(()),
            Ground::Kernel => self.finally(keeper, format!("changed the kernel's {}", path.display())),
            Ground::Usual if touch == Touch::Content => match writing_to(path) {
                Writing::File(shared) => {
                    for name in shared.and_then(|inode| self.names.get(&inode)).into_iter().flatten() {
                        keeper.foresee(name, touch)?;
                    }
                    keeper.foresee(path, touch)
                }
                Writing::Nothing => Ok(()),
                Writing::Device(what) => self.finally(keeper, what),
            },
            Ground::Usual => {
                if touch == Touch::NameGoes {
                    self.name_goes(path);
                }
                keeper.foresee(path, touch)
            }
        }
    }

    /// A file gets another name. If it is in the same directory, the old one is replaced next, most likely (as `dpkg` does it):
    /// then it is kept now, by a link, while it has but one.
    fn linked(&mut self, from: &Path, to: &Path) -> Touch {
        let Ok(stat) = rustix::fs::statat(CWD, from, AtFlags::SYMLINK_NOFOLLOW) else {
            return Touch::Metadata;
        };
        let names = self.names.entry((stat.st_dev, stat.st_ino)).or_default();
        names.extend([from.to_owned(), to.to_owned()]);
        let is_small_file =
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_size <= SMALL;
        let goes_next = is_small_file && stat.st_nlink == 1 && from.parent() == to.parent();
        if goes_next { Touch::NameGoes } else { Touch::Metadata }
    }

    /// Directories that we know may be others then.
    fn name_goes(&mut self, path: &Path) {
        match kind(path) {
            Some(FileType::Directory) => self.resolver.forget_one(path),
            Some(FileType::Symlink) if path.is_dir() => self.resolver.forget(),
            _ => {}
        }
    }

    fn rename(
        &mut self,
        from: &Spot,
        to: &Spot,
        exchange: bool,
        keeper: &mut dyn Keeper,
    ) -> Result<(), layer::Error> {
        let moved = kind(&from.path) == Some(FileType::Directory);
        let usual = from.ground == Ground::Usual && to.ground == Ground::Usual;
        if !(moved && usual) {
            let is_there = from.ground != Ground::Usual || kind(&from.path).is_some();
            if is_there || exchange {
                self.touch(from, Touch::NameGoes, keeper)?;
            }
            if exchange && usual && kind(&to.path) == Some(FileType::Directory) {
                keeper.foresee_moved(&to.path, &from.path)?;
            }
            return self.touch(to, Touch::NameGoes, keeper);
        }
        self.resolver.forget();
        if exchange {
            // What is there already must be known before names below it are said to be new.
            foresee_all(&to.path, keeper)?;
            keeper.foresee_moved(&from.path, &to.path)?;
            return keeper.foresee_moved(&to.path, &from.path);
        }
        keeper.foresee_moved(&from.path, &to.path)
    }

    fn finally(&mut self, keeper: &mut dyn Keeper, what: String) -> Result<(), layer::Error> {
        if self.said.first(&what) { keeper.irreversible(what) } else { Ok(()) }
    }

    fn unseen(&mut self, keeper: &mut dyn Keeper, what: String) -> Result<(), layer::Error> {
        if self.said.first(&what) { keeper.unseen(what) } else { Ok(()) }
    }
}

fn kind(path: &Path) -> Option<FileType> {
    let stat = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(stat.st_mode))
}

fn foresee_all(path: &Path, keeper: &mut dyn Keeper) -> Result<(), layer::Error> {
    keeper.foresee(path, Touch::NameGoes)?;
    if kind(path) != Some(FileType::Directory) {
        return Ok(());
    }
    let Ok(entries) = std::fs::read_dir(path) else { return Ok(()) };
    entries.flatten().try_for_each(|entry| foresee_all(&entry.path(), keeper))
}

/// One call being read.
struct Reading<'a> {
    resolver: &'a mut Resolver,
    names: &'a Names,
    target: Target,
    args: &'a [u64; 6],
}

impl Reading<'_> {
    fn deed(&mut self, does: Does) -> Result<Deed, Trouble> {
        match does {
            Does::Open(at, flags) => self.open(at, self.number(flags), false),
            Does::OpenHow(at, how) => {
                let how: [u8; 24] = self.target.bytes(self.args[how as usize])?;
                let word = |n: usize| u64::from_le_bytes(how[n..n + 8].try_into().expect("eight bytes"));
                // RESOLVE_BENEATH and RESOLVE_IN_ROOT: the directory is the root.
                self.open(at, word(0) as u32, word(16) & 0x18 != 0)
            }
            Does::Create(at) => self.touch_at(at, true, Touch::Content),
            Does::OpenByHandle => Ok(Deed::Unseen(
                "opened a file by a handle for writing, so that its name is not known".to_owned(),
            )),
            Does::Truncate(at) => self.touch_at(at, true, Touch::Content),
            Does::TruncateFd(fd) => self.descriptor(self.fd(fd), Touch::Content),
            Does::Remove(at) => Ok(Deed::Remove(self.spot(at, false)?)),
            Does::Rename(from, to, flags) => {
                let exchange = flags.is_some_and(|flags| self.number(flags) & RENAME_EXCHANGE != 0);
                Ok(Deed::Rename(self.spot(from, false)?, self.spot(to, false)?, exchange))
            }
            Does::Link(from, to, flags) => self.link(from, to, flags),
            Does::New(at) => self.touch_at(at, false, Touch::New),
            Does::Set(at, follow) | Does::SetOrFd(at, follow) => {
                self.set(at, follow, matches!(does, Does::SetOrFd(..)))
            }
            Does::SetFd(fd) => self.descriptor(self.fd(fd), Touch::Metadata),
            Does::Ioctl => self.ioctl(),
            Does::Bind => self.bind(self.args[1], self.number(2)),
            Does::SocketCall => {
                let words: [u8; 12] = self.target.bytes(self.args[1])?;
                let word = |n: usize| u32::from_le_bytes(words[n..n + 4].try_into().expect("four bytes"));
                self.bind(u64::from(word(4)), word(8))
            }
            Does::Views => Ok(Deed::Views),
            Does::Clone3 => {
                let flags = u64::from_le_bytes(self.target.bytes(self.args[0])?);
                Ok(if flags & CLONE_NEWNS != 0 { Deed::Views } else { Deed::Nothing })
            }
            Does::Final(what) => Ok(Deed::Final(what.to_owned())),
            Does::FinalPath(what, at) => self.finally(what, at),
            Does::Adjust(place) => {
                let modes = u32::from_le_bytes(self.target.bytes(self.args[place as usize])?);
                let asks = modes == 0 || modes == ASKS;
                Ok(if asks { Deed::Nothing } else { Deed::Final("adjusted the clock".to_owned()) })
            }
            Does::Nothing => Ok(Deed::Nothing),
        }
    }

    fn number(&self, place: u8) -> u32 {
        self.args[place as usize] as u32
    }

    fn fd(&self, place: u8) -> i32 {
        self.args[place as usize] as i32
    }

    fn start(&self, at: At) -> i32 {
        at.0.map_or(libc::AT_FDCWD, |place| self.fd(place))
    }

    fn spot(&mut self, at: At, follow: bool) -> Result<Spot, Trouble> {
        let path = self.target.text(self.args[at.1 as usize])?;
        if path.is_empty() {
            return Err(Trouble::Nothing);
        }
        self.resolver.find(self.target, self.start(at), &path, follow)
    }

    fn touch_at(&mut self, at: At, follow: bool, touch: Touch) -> Result<Deed, Trouble> {
        Ok(Deed::Touch(self.spot(at, follow)?, touch))
    }

    fn open(&mut self, at: At, flags: u32, in_root: bool) -> Result<Deed, Trouble> {
        let has = |flag: i32| flags & flag as u32 != 0;
        let writes = flags & 0o3 != 0 || has(libc::O_TRUNC);
        // A file without a name changes nothing; one gets it by `linkat`.
        if has(libc::O_PATH) || flags & O_TMPFILE != 0 || !(writes || has(libc::O_CREAT)) {
            return Ok(Deed::Nothing);
        }
        let path = self.target.text(self.args[at.1 as usize])?;
        if path == b"/dev/null" || path.is_empty() {
            return Ok(Deed::Nothing);
        }
        let new = has(libc::O_CREAT) && has(libc::O_EXCL);
        let follow = !new && !has(libc::O_NOFOLLOW);
        let path = if in_root {
            let below = path.iter().position(|b| *b != b'/').map_or(&b"."[..], |start| &path[start..]);
            below.to_vec()
        } else {
            path
        };
        let spot = self.resolver.find(self.target, self.start(at), &path, follow)?;
        let touch = if new || !writes { Touch::New } else { Touch::Content };
        Ok(Deed::Touch(spot, touch))
    }

    fn set(&mut self, at: At, follow: Follow, fd_without_path: bool) -> Result<Deed, Trouble> {
        let flags = if let Follow::Flags(place) = follow { self.number(place) } else { 0 };
        let follow = match follow {
            Follow::Yes => true,
            Follow::No => false,
            Follow::Flags(_) => flags & AT_SYMLINK_NOFOLLOW == 0,
        };
        let pointer = self.args[at.1 as usize];
        if pointer == 0 {
            let meant = fd_without_path || flags & AT_EMPTY_PATH != 0;
            return if meant { self.descriptor(self.start(at), Touch::Metadata) } else { Ok(Deed::Nothing) };
        }
        let path = self.target.text(pointer)?;
        if path.is_empty() {
            let meant = flags & AT_EMPTY_PATH != 0;
            return if meant { self.descriptor(self.start(at), Touch::Metadata) } else { Ok(Deed::Nothing) };
        }
        let spot = self.resolver.find(self.target, self.start(at), &path, follow)?;
        Ok(Deed::Touch(spot, Touch::Metadata))
    }

    fn link(&mut self, from: At, to: At, flags: Option<u8>) -> Result<Deed, Trouble> {
        let flags = flags.map_or(0, |place| self.number(place));
        let path = self.target.text(self.args[from.1 as usize])?;
        let source = if path.is_empty() {
            match self.target.descriptor(self.start(from), self.resolver.sure())? {
                Descriptor::At(path) => self.resolver.given(path).ok(),
                Descriptor::Nameless(_) | Descriptor::NoFile => None,
            }
        } else {
            // A descriptor's link in /proc may lead to a file without a name.
            self.resolver.find(self.target, self.start(from), &path, flags & AT_SYMLINK_FOLLOW != 0).ok()
        };
        Ok(Deed::Link(source, self.spot(to, false)?))
    }

    fn ioctl(&mut self) -> Result<Deed, Trouble> {
        let what = self.number(1);
        if SET_FLAGS.contains(&what) {
            return self.descriptor(self.fd(0), Touch::Metadata);
        }
        let subvolume = SUBVOLUMES.contains(&what);
        Ok(if subvolume {
            Deed::Final("made or removed a btrfs subvolume".to_owned())
        } else {
            Deed::Nothing
        })
    }

    fn descriptor(&mut self, fd: i32, touch: Touch) -> Result<Deed, Trouble> {
        match self.target.descriptor(fd, self.resolver.sure())? {
            Descriptor::At(path) => Ok(Deed::Touch(self.resolver.given(path)?, touch)),
            Descriptor::Nameless(file) => Ok(self.nameless(&file, touch)),
            Descriptor::NoFile => Ok(Deed::Nothing),
        }
    }

    /// A file whose name is gone (what was open for writing was kept when it was opened).
    fn nameless(&mut self, file: &Stat, touch: Touch) -> Deed {
        let names = self.names.get(&(file.st_dev, file.st_ino)).into_iter().flatten();
        if let Some(path) = names.into_iter().find(|path| same_file(path, file)).cloned()
            && let Ok(spot) = self.resolver.given(path)
        {
            return Deed::Touch(spot, touch);
        }
        // One name more than none can be the layer's own.
        if file.st_nlink < 2 || touch != Touch::Metadata {
            return Deed::Nothing;
        }
        Deed::Unseen(format!(
            "changed the owner, mode or times of a file whose name is not known (inode {})",
            file.st_ino
        ))
    }

    fn bind(&mut self, address: u64, length: u32) -> Result<Deed, Trouble> {
        let length = length.min(110) as usize;
        if length <= 2 || u16::from_le_bytes(self.target.bytes(address)?) != libc::AF_UNIX as u16 {
            return Ok(Deed::Nothing);
        }
        let mut path = self.target.memory(address + 2, length - 2)?;
        path.truncate(path.iter().position(|b| *b == 0).unwrap_or(path.len()));
        if path.is_empty() {
            return Ok(Deed::Nothing);
        }
        let spot = self.resolver.find(self.target, libc::AT_FDCWD, &path, false)?;
        Ok(Deed::Touch(spot, Touch::New))
    }

    fn finally(&mut self, what: &str, at: At) -> Result<Deed, Trouble> {
        // A mount in a namespace of its own ends with it.
        if self.resolver.apart(self.target) {
            return Ok(Deed::Nothing);
        }
        let path = match self.spot(at, true) {
            Ok(spot) => spot.path,
            Err(_) => self
                .target
                .text(self.args[at.1 as usize])
                .map(|text| Path::new(std::ffi::OsStr::from_bytes(&text)).to_owned())?,
        };
        Ok(Deed::Mount(format!("{what} {}", path.display())))
    }
}
