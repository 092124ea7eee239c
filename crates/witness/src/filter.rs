//! The table as a BPF program. Calls that it lets pass are decided inside the kernel, most of them without even running it.

use std::sync::OnceLock;

use crate::table::{Row, TABLE, When};

/// An instruction of classic BPF, as the kernel reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    code: u16,
    when: u8,
    otherwise: u8,
    k: u32,
}

impl Instruction {
    /// A filter that stops nothing: to try whether there may be one at all.
    pub(crate) const ALLOW_ALL: &[Self] = &[plain(RETURN, ALLOW)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    X86_64,
    I386,
    Aarch64,
}

impl Arch {
    /// Of this program.
    pub(crate) fn native() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else {
            None
        }
    }

    /// As the kernel names it in what it tells about a call.
    pub(crate) fn of(audit: u32) -> Option<Self> {
        [Self::X86_64, Self::I386, Self::Aarch64].into_iter().find(|arch| arch.audit() == audit)
    }

    fn audit(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::I386 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
        }
    }

    /// Whose programs this kernel may run besides.
    fn family(self) -> &'static [Self] {
        match self {
            Self::X86_64 | Self::I386 => &[Self::X86_64, Self::I386],
            Self::Aarch64 => &[Self::Aarch64],
        }
    }
}

/// x32 calls have the numbers of x86_64 with this bit, except a few.
const X32: u32 = 0x4000_0000;
const X32_IOCTL: u32 = 514;

/// The row of a call.
pub(crate) fn find(arch: Arch, number: u32) -> Option<&'static Row> {
    let number = match arch {
        Arch::X86_64 => match number & !X32 {
            X32_IOCTL if number & X32 != 0 => 16,
            plain => plain,
        },
        _ => number,
    };
    TABLE.iter().find(|row| row.number(arch) == Some(number))
}

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_ANY_BIT: u16 = 0x45;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const NOTIFY: u32 = 0x7fc0_0000;
const NO_SUCH_CALL: u32 = 0x0005_0000 | libc::ENOSYS as u32;

/// Where the kernel's `struct seccomp_data` has what.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

fn argument(n: u8) -> u32 {
    // The low half: both architectures are little-endian.
    16 + 8 * u32::from(n)
}

/// The program; empty where we do not know the architecture.
pub(crate) fn program() -> &'static [Instruction] {
    static PROGRAM: OnceLock<Vec<Instruction>> = OnceLock::new();
    PROGRAM.get_or_init(|| Arch::native().map(write).unwrap_or_default())
}

fn write(native: Arch) -> Vec<Instruction> {
    let mut all = vec![plain(LOAD, ARCH)];
    for arch in native.family() {
        let part = of_arch(*arch);
        // A jump over a part can be longer than a conditional jump can say.
        all.push(jump(JUMP_EQUAL, arch.audit(), 1, 0));
        all.push(plain(JUMP, part.len() as u32));
        all.extend(part);
    }
    // Programs of an architecture that we cannot read are stopped at each call; that they ran is said.
    all.push(plain(RETURN, NOTIFY));
    all
}

fn of_arch(arch: Arch) -> Vec<Instruction> {
    let mut all = vec![plain(LOAD, NUMBER)];
    if arch == Arch::X86_64 {
        all.push(jump(JUMP_EQUAL, X32 | X32_IOCTL, 0, 1));
        all.push(plain(RETURN, NOTIFY));
        all.push(plain(AND, !X32));
    }
    for row in TABLE {
        let Some(number) = row.number(arch) else { continue };
        match row.when {
            When::Always => {
                all.push(jump(JUMP_EQUAL, number, 0, 1));
                all.push(plain(RETURN, NOTIFY));
            }
            When::Refused => {
                all.push(jump(JUMP_EQUAL, number, 0, 1));
                all.push(plain(RETURN, NO_SUCH_CALL));
            }
            When::Bits(place, bits) => {
                all.push(jump(JUMP_EQUAL, number, 0, 4));
                all.push(plain(LOAD, argument(place)));
                all.push(jump(JUMP_ANY_BIT, bits, 1, 0));
                all.push(plain(RETURN, ALLOW));
                all.push(plain(RETURN, NOTIFY));
            }
            When::Is(place, values) => {
                all.push(jump(JUMP_EQUAL, number, 0, 3 + values.len() as u8));
                all.push(plain(LOAD, argument(place)));
                let after = (1..=values.len() as u8).rev();
                all.extend(values.iter().zip(after).map(|(value, left)| jump(JUMP_EQUAL, *value, left, 0)));
                all.push(plain(RETURN, ALLOW));
                all.push(plain(RETURN, NOTIFY));
            }
        }
    }
    all.push(plain(RETURN, ALLOW));
    all
}

const fn plain(code: u16, k: u32) -> Instruction {
    jump(code, k, 0, 0)
}

const fn jump(code: u16, k: u32, when: u8, otherwise: u8) -> Instruction {
    Instruction { code, when, otherwise, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would make of a call.
    fn decide(audit: u32, number: u32, args: [u64; 6]) -> u32 {
        let program = write(Arch::X86_64);
        let (mut at, mut a) = (0, 0_u32);
        loop {
            let Instruction { code, when, otherwise, k } = program[at];
            at += 1;
            match code {
                LOAD if k == NUMBER => a = number,
                LOAD if k == ARCH => a = audit,
                LOAD => a = args[(k as usize - 16) / 8] as u32,
                AND => a &= k,
                JUMP => at += k as usize,
                JUMP_EQUAL => at += usize::from(if a == k { when } else { otherwise }),
                JUMP_ANY_BIT => at += usize::from(if a & k != 0 { when } else { otherwise }),
                RETURN => return k,
                _ => panic!("{code:x}"),
            }
        }
    }

    #[test]
    fn calls_are_told_apart() {
        let (wide, narrow) = (Arch::X86_64.audit(), Arch::I386.audit());
        let none = [0; 6];
        assert_eq!(decide(wide, 0, none), ALLOW, "read");
        assert_eq!(decide(wide, 257, none), ALLOW, "openat for reading");
        assert_eq!(decide(wide, 257, [0, 0, 1, 0, 0, 0]), NOTIFY, "openat for writing");
        assert_eq!(decide(wide, 257, [1, 1, 0o2_000_000, 7, 7, 7]), ALLOW, "openat with O_CLOEXEC");
        assert_eq!(decide(wide, 87, none), NOTIFY, "unlink");
        assert_eq!(decide(wide, X32 | 87, none), NOTIFY, "x32 unlink");
        assert_eq!(decide(wide, X32 | X32_IOCTL, none), NOTIFY, "x32 ioctl");
        assert_eq!(decide(wide, 16, [0, 0x5401, 0, 0, 0, 0]), ALLOW, "ioctl TCGETS");
        assert_eq!(decide(wide, 16, [0, 0x4008_6602, 0, 0, 0, 0]), NOTIFY, "ioctl FS_IOC_SETFLAGS");
        assert_eq!(decide(wide, 16, [0, 0x5000_943f, 0, 0, 0, 0]), NOTIFY, "the last of the list");
        assert_eq!(decide(wide, 425, none), NO_SUCH_CALL, "io_uring_setup");
        assert_eq!(decide(wide, 56, [17, 0, 0, 0, 0, 0]), ALLOW, "fork");
        assert_eq!(decide(wide, 179, [0x8000_0800, 0, 0, 0, 0, 0]), NOTIFY, "quotactl Q_SETQUOTA");
        assert_eq!(decide(wide, 179, [0x8000_0700, 0, 0, 0, 0, 0]), ALLOW, "quotactl Q_GETQUOTA");
        assert_eq!(decide(narrow, 10, none), NOTIFY, "i386 unlink");
        assert_eq!(decide(narrow, 87, none), NOTIFY, "i386 swapon");
        assert_eq!(decide(narrow, 3, none), ALLOW, "i386 read");
        assert_eq!(decide(narrow, 5, [0, 2, 0, 0, 0, 0]), NOTIFY, "i386 open for writing");
        assert_eq!(decide(narrow, 102, [2, 0, 0, 0, 0, 0]), NOTIFY, "i386 socketcall bind");
        assert_eq!(decide(narrow, 102, [3, 0, 0, 0, 0, 0]), ALLOW, "i386 socketcall connect");
        assert_eq!(decide(0x4000_0028, 0, none), NOTIFY, "an architecture that we cannot read");
    }

    #[test]
    fn every_row_is_found_again() {
        for arch in [Arch::X86_64, Arch::I386, Arch::Aarch64] {
            for row in TABLE {
                if let Some(number) = row.number(arch) {
                    assert_eq!(find(arch, number).unwrap().name, row.name);
                }
            }
        }
        assert_eq!(find(Arch::X86_64, X32 | X32_IOCTL).unwrap().name, "ioctl");
    }

    #[test]
    fn it_is_not_too_long_for_the_kernel() {
        assert!(program().len() < 4096, "{}", program().len());
    }
}
