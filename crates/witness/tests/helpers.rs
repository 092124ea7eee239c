//! What the helpers do. Each is one process under watch; it fails when a call does not do what it should.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::ptr::null;

use libc::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, c_long};

pub(crate) fn run(name: &str, dir: &str) -> ExitCode {
    let dir = Path::new(dir);
    match name {
        "descriptors" => descriptors(dir),
        "relative" => relative(dir),
        "pages" => pages(dir),
        "pointers" => pointers(),
        "links" => links(dir),
        "threads" => threads(dir),
        "uring" => assert_eq!(fails(unsafe { libc::syscall(libc::SYS_io_uring_setup, 8, 0) }), libc::ENOSYS),
        "narrow" => narrow(dir),
        "x32" => x32(dir),
        "daemon" => daemon(dir),
        "nested" => nested(dir),
        "tracer" => tracer(dir),
        "signals" => signals(dir),
        "socket" => drop(std::os::unix::net::UnixListener::bind("here.sock").unwrap()),
        "chroot" => chroot(dir),
        "namespace" => namespace(dir),
        "kernel" => kernel(dir),
        "reading" => reading(dir),
        "renames" => renames(dir),
        "replaces" => replaces(dir),
        "tmpfile" => tmpfile(dir),
        "openat2" => openat2(dir),
        "lives-on" => lives_on(dir),
        "deleted" => deleted(dir),
        "setuid" => setuid(dir),
        "devices" => devices(dir),
        "unlink" => return status(std::fs::remove_file(dir.join("a"))),
        _ => return ExitCode::from(3),
    }
    ExitCode::SUCCESS
}

fn status(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(error.raw_os_error().unwrap_or(99) as u8),
    }
}

fn c(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().as_os_str().as_bytes()).unwrap()
}

#[track_caller]
fn fine(result: impl Into<c_long>) -> i32 {
    let result = result.into();
    assert!(result >= 0, "{}", io::Error::last_os_error());
    result as i32
}

#[track_caller]
fn fails(result: impl Into<c_long>) -> i32 {
    assert!(result.into() < 0, "it should have failed");
    io::Error::last_os_error().raw_os_error().unwrap()
}

fn descriptors(dir: &Path) {
    unsafe {
        for (file, how) in [
            ("mode", 0),
            ("xattr", 1),
            ("times", 2),
            ("owner", 3),
            ("empty", 4),
            ("flags", 5),
            ("noxattr", 6),
        ] {
            let flags = if how == 4 { libc::O_PATH } else { libc::O_RDONLY };
            let fd = fine(libc::open(c(dir.join(file)).as_ptr(), flags));
            match how {
                0 => _ = fine(libc::fchmod(fd, 0o600)),
                1 => _ = fine(libc::fsetxattr(fd, c"user.t".as_ptr(), c"1".as_ptr().cast(), 1, 0)),
                2 => _ = fine(libc::futimens(fd, null())),
                3 => _ = fine(libc::fchown(fd, 1, 1)),
                4 => _ = fine(libc::fchownat(fd, c"".as_ptr(), 1, 1, AT_EMPTY_PATH)),
                // Some file systems have no flags; it is the attempt that counts.
                5 => _ = libc::ioctl(fd, 0x4008_6602, &raw const how),
                _ => _ = libc::fremovexattr(fd, c"user.none".as_ptr()),
            }
        }
        let fd = fine(libc::open(c(dir.join("size")).as_ptr(), libc::O_RDWR));
        fine(libc::ftruncate(fd, 1));
        fine(libc::fsync(fd));
        let fd = fine(libc::open(c(dir.join("hole")).as_ptr(), libc::O_RDWR));
        fine(libc::fallocate(fd, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, 0, 1));
    }
}

fn relative(dir: &Path) {
    unsafe {
        fine(libc::mkdir(c"sub".as_ptr(), 0o755));
        fine(libc::chdir(c"sub".as_ptr()));
        fine(libc::close(fine(libc::creat(c"made".as_ptr(), 0o600))));
        fine(libc::rename(c"made".as_ptr(), c"../up".as_ptr()));
        let there = fine(libc::open(c(dir.join("other")).as_ptr(), libc::O_DIRECTORY));
        fine(libc::unlinkat(there, c"file".as_ptr(), 0));
        fine(libc::symlinkat(c"to".as_ptr(), there, c"link".as_ptr()));
        fine(libc::mknodat(there, c"pipe".as_ptr(), libc::S_IFIFO | 0o600, 0));
        fine(libc::fchmodat(AT_FDCWD, c"../other/./mode".as_ptr(), 0o600, 0));
    }
}

fn pages(dir: &Path) {
    unsafe {
        let page = 4096;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let memory =
            libc::mmap(std::ptr::null_mut(), 3 * page, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
                .cast::<u8>();
        let path = c(dir.join("across"));
        let bytes = path.as_bytes_with_nul();
        // Once across two pages, once at the very end before a page that is not there.
        let across = memory.add(page - bytes.len() / 2);
        across.copy_from(bytes.as_ptr(), bytes.len());
        fine(libc::unlink(across.cast()));
        let path = c(dir.join("at-end"));
        let bytes = path.as_bytes_with_nul();
        fine(libc::munmap(memory.add(2 * page).cast(), page));
        let end = memory.add(2 * page - bytes.len());
        end.copy_from(bytes.as_ptr(), bytes.len());
        fine(libc::unlink(end.cast()));
        // A name that does not end before the memory does.
        let open_end = memory.add(2 * page - 5);
        open_end.copy_from(b"endle".as_ptr(), 5);
        assert_eq!(fails(libc::unlink(open_end.cast())), libc::EFAULT);
    }
}

fn pointers() {
    let wrong = usize::MAX as *const libc::c_char;
    unsafe {
        assert_eq!(fails(libc::unlink(wrong)), libc::EFAULT);
        assert_eq!(fails(libc::open(wrong, libc::O_CREAT | libc::O_WRONLY, 0o600)), libc::EFAULT);
        assert_eq!(fails(libc::syscall(libc::SYS_openat2, AT_FDCWD, c"x".as_ptr(), wrong, 24)), libc::EFAULT);
        assert_eq!(fails(libc::rename(c"x".as_ptr(), wrong)), libc::EFAULT);
        assert_eq!(fails(libc::syscall(libc::SYS_bind, 0, wrong, 110)), libc::ENOTSOCK);
        assert_eq!(fails(libc::unlink(c"".as_ptr())), libc::ENOENT);
        assert_eq!(fails(libc::fchmod(999, 0o600)), libc::EBADF);
        assert_eq!(fails(libc::unlinkat(999, c"x".as_ptr(), 0)), libc::EBADF);
    }
}

fn links(dir: &Path) {
    unsafe {
        fine(libc::chmod(c"link".as_ptr(), 0o600));
        fine(libc::lchown(c"own-link".as_ptr(), 1, 1));
        fine(libc::utimensat(AT_FDCWD, c"time-link".as_ptr(), null(), AT_SYMLINK_NOFOLLOW));
        fine(libc::unlink(c"gone-link".as_ptr()));
        fine(libc::close(fine(libc::open(c"dangling".as_ptr(), libc::O_CREAT | libc::O_WRONLY, 0o600))));
        assert_eq!(
            fails(libc::open(c"link".as_ptr(), libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, 0o600)),
            libc::EEXIST
        );
        assert_eq!(fails(libc::open(c"link".as_ptr(), libc::O_NOFOLLOW | libc::O_WRONLY)), libc::ELOOP);
        fine(libc::truncate(c(dir.join("way/cut")).as_ptr(), 1));
        assert_eq!(fails(libc::open(c"round".as_ptr(), libc::O_WRONLY)), libc::ELOOP);
    }
}

fn threads(dir: &Path) {
    let here = dir.to_owned();
    let other = std::thread::spawn(move || unsafe {
        // A working directory of this thread's own.
        fine(libc::unshare(libc::CLONE_FS));
        fine(libc::chdir(c(here.join("one")).as_ptr()));
        fine(libc::mkdir(c"made".as_ptr(), 0o755));
    });
    other.join().unwrap();
    unsafe {
        fine(libc::chdir(c(dir.join("two")).as_ptr()));
        fine(libc::mkdir(c"made".as_ptr(), 0o755));
    }
}

/// The 32-bit system calls of this machine.
#[cfg(target_arch = "x86_64")]
fn narrow(dir: &Path) {
    let call = |number: u32, first: u32, second: u32| -> i32 {
        let result: u32;
        unsafe {
            std::arch::asm!("push rbx", "mov ebx, {first:e}", "int 0x80", "pop rbx", first = in(reg) first,
                inlateout("eax") number => result, in("ecx") second, in("edx") 0o600);
        }
        result as i32
    };
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
        let low = libc::mmap(std::ptr::null_mut(), 8192, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
            .cast::<u8>();
        let write = |path: &Path, at: usize| {
            let path = c(path);
            low.add(at).copy_from(path.as_ptr().cast(), path.as_bytes_with_nul().len());
            low.add(at) as usize as u32
        };
        let (gone, made, dir32) =
            (write(&dir.join("gone"), 0), write(&dir.join("made"), 2048), write(&dir.join("dir"), 4096));
        assert_eq!(call(10, gone, 0), 0, "unlink");
        let fd = call(5, made, (libc::O_CREAT | libc::O_WRONLY) as u32);
        assert!(fd > 0, "open: {fd}");
        assert_eq!(call(94, fd as u32, 0o640), 0, "fchmod");
        assert_eq!(call(39, dir32, 0o755), 0, "mkdir");
        assert_eq!(call(425, 8, 0), -libc::ENOSYS, "io_uring_setup");
    }
}
#[cfg(not(target_arch = "x86_64"))]
fn narrow(_: &Path) {}

fn x32(dir: &Path) {
    let path = c(dir.join("gone"));
    // Most kernels have no such calls (and then do nothing); the filter comes before that.
    unsafe { libc::syscall(0x4000_0000 | 87, path.as_ptr()) };
}

/// Starts a process that goes on when the command has ended, and goes on writing.
fn daemon(dir: &Path) {
    unsafe {
        if fine(libc::fork()) > 0 {
            return;
        }
        fine(libc::setsid());
        for fd in 0..3 {
            libc::close(fd);
        }
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !dir.join("go").exists() && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::fs::write(dir.join("late.new"), "x").unwrap();
    std::fs::rename(dir.join("late.new"), dir.join("late")).unwrap();
}

/// A program that has a filter itself: its own refusals stand, and nothing of it goes unseen.
#[cfg(target_arch = "x86_64")]
fn nested(dir: &Path) {
    let code = [
        libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 },
        libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: libc::SYS_mkdir as u32 },
        libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x0005_0000 | libc::EPERM as u32 },
        libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x7fff_0000 },
    ];
    let program = libc::sock_fprog { len: 4, filter: code.as_ptr().cast_mut() };
    unsafe {
        let second = libc::syscall(libc::SYS_seccomp, 1, 8, &raw const program);
        assert_eq!(fails(second), libc::EBUSY, "a second listener");
        fine(libc::syscall(libc::SYS_seccomp, 1, 0, &raw const program));
        assert_eq!(fails(libc::mkdir(c(dir.join("made")).as_ptr(), 0o755)), libc::EPERM);
        fine(libc::unlink(c(dir.join("gone")).as_ptr()));
    }
}
#[cfg(not(target_arch = "x86_64"))]
fn nested(_: &Path) {}

fn tracer(dir: &Path) {
    unsafe {
        let child = fine(libc::fork());
        if child == 0 {
            fine(libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0));
            fine(libc::raise(libc::SIGSTOP));
            let ended = libc::unlink(c(dir.join("gone")).as_ptr());
            libc::_exit(ended);
        }
        let mut status = 0;
        let mut stops = 0;
        loop {
            fine(libc::waitpid(child, &raw mut status, 0));
            if libc::WIFEXITED(status) {
                break;
            }
            stops += 1;
            fine(libc::ptrace(libc::PTRACE_SYSCALL, child, 0, 0));
        }
        assert!(stops > 2 && libc::WEXITSTATUS(status) == 0, "{stops} {status}");
    }
}

/// Signals all the time, while calls wait.
fn signals(dir: &Path) {
    extern "C" fn nothing(_: libc::c_int) {}
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        fine(libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()));
        let each = libc::timeval { tv_sec: 0, tv_usec: 500 };
        let timer = libc::itimerval { it_interval: each, it_value: each };
        fine(libc::syscall(libc::SYS_setitimer, 0, &raw const timer, 0));
        for n in 0..200 {
            let path = c(dir.join(format!("f{n}")));
            let fd = fine(libc::open(path.as_ptr(), libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, 0o600));
            fine(libc::close(fd));
            fine(libc::unlink(path.as_ptr()));
        }
    }
}

fn chroot(dir: &Path) {
    unsafe {
        fine(libc::chroot(c(dir.join("root")).as_ptr()));
        fine(libc::chdir(c"/".as_ptr()));
        fine(libc::mkdir(c"/made".as_ptr(), 0o755));
        fine(libc::mkdir(c"made/../relative".as_ptr(), 0o755));
        // An absolute link inside leads inside; `..` does not lead out.
        fine(libc::mkdir(c"way/below".as_ptr(), 0o755));
        fine(libc::mkdir(c"/../../top".as_ptr(), 0o755));
    }
}

fn namespace(dir: &Path) {
    unsafe {
        fine(libc::unshare(libc::CLONE_NEWNS));
        fine(libc::mount(null(), c"/".as_ptr(), null(), libc::MS_REC | libc::MS_PRIVATE, null()));
        let place = c(dir.join("m"));
        fine(libc::mount(c"t".as_ptr(), place.as_ptr(), c"tmpfs".as_ptr(), 0, null()));
        fine(libc::mkdir(c(dir.join("m/hidden")).as_ptr(), 0o755));
        fine(libc::mkdir(c(dir.join("shared")).as_ptr(), 0o755));
    }
}

fn kernel(dir: &Path) {
    unsafe {
        let open = |path: &std::ffi::CStr| libc::open(path.as_ptr(), libc::O_WRONLY);
        fine(open(c"/proc/sys/vm/swappiness"));
        fine(open(c"/dev/null"));
        fine(open(c"/dev/zero"));
        fine(open(c"/proc/self/oom_score_adj"));
        fine(libc::open(c"/dev/stderr".as_ptr(), libc::O_WRONLY | libc::O_CREAT, 0o600));
        fine(libc::mknod(c(dir.join("disk")).as_ptr(), libc::S_IFBLK | 0o600, libc::makedev(240, 77)));
        assert!(libc::open(c(dir.join("disk")).as_ptr(), libc::O_WRONLY) < 0);
        let mut asks: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut asks);
        // May be refused here; it is the attempt that counts.
        libc::mount(c"none".as_ptr(), c(dir.join("nowhere")).as_ptr(), c"tmpfs".as_ptr(), 0, null());
    }
}

fn reading(dir: &Path) {
    for _ in 0..1000 {
        drop(std::fs::read(dir.join("a")).unwrap());
        std::fs::metadata(dir.join("a")).unwrap();
    }
    // Waiting for others, memory, processes: nothing of it is stopped.
    assert!(std::process::Command::new("/bin/true").status().unwrap().success());
}

fn renames(dir: &Path) {
    let at = |name: &str| c(dir.join(name));
    unsafe {
        fine(libc::rename(at("old").as_ptr(), at("new").as_ptr()));
        fine(libc::rename(at("over").as_ptr(), at("taken").as_ptr()));
        fine(libc::rename(at("tree").as_ptr(), at("moved").as_ptr()));
        // Directories that were looked up before have other names now.
        fine(libc::mkdir(at("moved/in").as_ptr(), 0o755));
        fine(libc::syscall(
            libc::SYS_renameat2,
            AT_FDCWD,
            at("left").as_ptr(),
            AT_FDCWD,
            at("right").as_ptr(),
            2,
        ));
        fine(libc::link(at("new").as_ptr(), at("second").as_ptr()));
        fine(libc::rmdir(at("empty").as_ptr()));
        fine(libc::symlink(c"moved".as_ptr(), at("empty").as_ptr()));
        fine(libc::mkdir(at("empty/by-link").as_ptr(), 0o755));
        fine(libc::unlink(at("empty").as_ptr()));
        fine(libc::mkdir(at("empty").as_ptr(), 0o755));
        fine(libc::mkdir(at("empty/direct").as_ptr(), 0o755));
    }
}

/// As package managers do it: what is there from an earlier attempt would go first, and the old file is linked aside.
fn replaces(dir: &Path) {
    let at = |name: &str| c(dir.join(name));
    unsafe {
        for name in ["file.new", "file.aside"] {
            fails(libc::rmdir(at(name).as_ptr()));
            fails(libc::unlink(at(name).as_ptr()));
        }
        fails(libc::rename(at("added.aside").as_ptr(), at("added").as_ptr()));
        std::fs::write(dir.join("file.new"), "new").unwrap();
        fine(libc::link(at("file").as_ptr(), at("file.aside").as_ptr()));
        fine(libc::rename(at("file.new").as_ptr(), at("file").as_ptr()));
        fine(libc::unlink(at("file.aside").as_ptr()));
    }
}

fn tmpfile(dir: &Path) {
    unsafe {
        let fd = fine(libc::open(c(dir).as_ptr(), libc::O_TMPFILE | libc::O_WRONLY, 0o600));
        fine(libc::write(fd, c"x".as_ptr().cast(), 1) as c_long);
        fine(libc::fchmod(fd, 0o640));
        let own = c(format!("/proc/self/fd/{fd}"));
        fine(libc::linkat(AT_FDCWD, own.as_ptr(), AT_FDCWD, c"named".as_ptr(), libc::AT_SYMLINK_FOLLOW));
    }
}

fn openat2(dir: &Path) {
    let open = |fd: i32, path: &str, flags: i32, resolve: u64| {
        let how = [flags as u64, if flags & libc::O_CREAT == 0 { 0 } else { 0o600 }, resolve];
        let path = c(path);
        unsafe { libc::syscall(libc::SYS_openat2, fd, path.as_ptr(), how.as_ptr(), 24) }
    };
    fine(open(AT_FDCWD, "made", libc::O_CREAT | libc::O_WRONLY, 0));
    fine(open(AT_FDCWD, "made", libc::O_RDONLY, 0));
    let root = unsafe { fine(libc::open(c(dir.join("root")).as_ptr(), libc::O_PATH)) };
    // RESOLVE_IN_ROOT
    fine(open(root, "/inside", libc::O_CREAT | libc::O_WRONLY, 0x10));
}

/// The inode of a name that went away lives on, and is written.
fn lives_on(dir: &Path) {
    let at = |name: &str| dir.join(name);
    std::fs::rename(at("a"), at("b")).unwrap();
    append(&at("b"));
    std::fs::hard_link(at("g"), at("h")).unwrap();
    std::fs::rename(at("h"), at("i")).unwrap();
    append(&at("i"));
    std::fs::hard_link(at("c"), at("d")).unwrap();
    std::fs::remove_file(at("c")).unwrap();
    append(&at("d"));
    unsafe {
        let fd = fine(libc::open(c(at("e")).as_ptr(), libc::O_RDONLY));
        fine(libc::rename(c(at("e")).as_ptr(), c(at("f")).as_ptr()));
        fine(libc::fchmod(fd, 0o600));
    }
}

fn append(path: &Path) {
    use std::io::Write;
    std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b" and more").unwrap();
}

fn deleted(dir: &Path) {
    unsafe {
        let fd = fine(libc::open(c(dir.join("a")).as_ptr(), libc::O_RDONLY));
        fine(libc::link(c(dir.join("a")).as_ptr(), c(dir.join("b")).as_ptr()));
        fine(libc::unlink(c(dir.join("a")).as_ptr()));
        // By a descriptor whose own name is gone: `b` changes.
        fine(libc::fchmod(fd, 0o600));
        let fd = fine(libc::open(c(dir.join("named (deleted)")).as_ptr(), libc::O_RDONLY));
        fine(libc::fchmod(fd, 0o600));
    }
}

fn setuid(dir: &Path) {
    use std::os::unix::process::CommandExt;
    let output = std::process::Command::new(dir.join("id")).arg("-u").uid(65534).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0", "{output:?}");
}

fn devices(dir: &Path) {
    unsafe {
        fine(libc::mknod(c(dir.join("null")).as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, 3)));
        fine(libc::mkfifo(c(dir.join("pipe")).as_ptr(), 0o600));
        fine(libc::open(c(dir.join("pipe")).as_ptr(), libc::O_RDWR));
        fine(libc::open(c(dir.join("null")).as_ptr(), libc::O_WRONLY));
    }
}
