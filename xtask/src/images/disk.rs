//! The example on a disk: made twice to the same bytes, checked by other programs, compared with the OCI image, and booted
//! in QEMU until its service answers.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::{Project, answer, differences, has};
use crate::tally::Tally;
use crate::{base, shell};

const PROGRAMS: &[&str] =
    &["qemu-system-x86_64", "sgdisk", "e2fsck", "fsck.vfat", "mount", "umoci", "rsync", "curl", "cmp", "dd"];
const FIRMWARE: [&str; 2] = ["/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"];
/// What a machine needs beside the example.
const MACHINE: &str = r#"- hosts: web
  tasks:
    - name: Kernel and boot stub
      apt: {name: [linux-image-cloud-amd64, systemd-boot-efi], update_cache: true, install_recommends: false}
    - name: Every network card asks for an address
      copy:
        dest: /etc/systemd/network/80-dhcp.network
        content: "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n"
    - name: Network
      service: {name: systemd-networkd, enabled: true}
"#;
const PORT: u16 = 18_080;

pub(super) fn run(_arguments: &[String], tally: &mut Tally) -> Result<()> {
    if !has("disk", PROGRAMS, tally) {
        return Ok(());
    }
    if !FIRMWARE.iter().all(|path| Path::new(path).exists()) {
        tally.skipped.push("images disk: needs ovmf".to_owned());
        return Ok(());
    }
    let project = Project::ship("disk")?;
    project.write("machine.yml", MACHINE)?;
    let text = fs::read_to_string(project.path("theseus.yml"))?;
    let text = text.replace("playbook: site.yml", "playbook: [site.yml, machine.yml]");
    let text = text.replace("network: none", "network: host");
    let base = format!("base: {} #", base::directory()?.display());
    project.write("theseus.yml", &text.replace("base: installed", &format!("{base} installed")))?;
    let first = project.bake("ship", &[])?;
    let again = project.bake("ship", &["--from-scratch"])?;
    println!("two bakes from scratch: {} {}", first["digest"], again["digest"]);
    if first["digest"] != again["digest"] {
        bail!("the two bakes differ: {}", project.theseus(&["image", "list"])?);
    }
    let began = Instant::now();
    project.theseus(&["image", "export", "ship", "-f", "raw", "-t", "ship.raw"])?;
    println!("a disk in {:.1} s", began.elapsed().as_secs_f64());
    project.theseus(&["image", "export", "ship", "-f", "raw", "-t", "again.raw"])?;
    shell::output(Command::new("cmp").arg(project.path("ship.raw")).arg(project.path("again.raw")))?;
    fs::remove_file(project.path("again.raw"))?;
    checked(&project)?;
    same_files(&project)?;
    booted(&project, "raw")?;
    project.theseus(&["image", "export", "ship", "-f", "qcow2", "-t", "ship.qcow2"])?;
    booted(&project, "qcow2")?;
    tally.passed += 1;
    Ok(())
}

/// The partitions in files of their own, and what the file systems' own programs say.
fn checked(project: &Project) -> Result<()> {
    let disk = project.path("ship.raw");
    let said = shell::output(Command::new("sgdisk").arg("-v").arg(&disk))?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    if !said.contains("No problems found") {
        bail!("sgdisk: {said}");
    }
    for (number, name) in [("1", "esp"), ("2", "root")] {
        let told = shell::output(Command::new("sgdisk").arg("-i").arg(number).arg(&disk))?;
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let of = |what: &str| -> Result<u64> {
            let line =
                told.lines().find_map(|line| line.strip_prefix(what)).context("sgdisk tells no sectors")?;
            Ok(line.split_whitespace().next().context("no number")?.parse::<u64>()? / 2048)
        };
        let (start, size) = (of("First sector:")?, of("Partition size:")?);
        let mut dd = Command::new("dd");
        dd.arg(format!("if={}", disk.display())).arg(format!("of={}", project.path(name).display()));
        dd.args(["bs=1M", "conv=sparse", "status=none"])
            .arg(format!("skip={start}"))
            .arg(format!("count={size}"));
        shell::output(&mut dd)?;
    }
    shell::output(Command::new("fsck.vfat").arg("-n").arg(project.path("esp")))?;
    shell::output(Command::new("e2fsck").arg("-fn").arg(project.path("root")))?;
    println!("sgdisk -v, fsck.vfat -n and e2fsck -fn find nothing");
    Ok(())
}

/// The root's files against what umoci unpacks of the OCI image.
fn same_files(project: &Project) -> Result<()> {
    project.theseus(&["image", "export", "ship", "-f", "oci", "-t", "layout"])?;
    let image = format!("{}:latest", project.path("layout").display());
    shell::output(Command::new("umoci").args(["unpack", "--image", &image]).arg(project.path("bundle")))?;
    let place = project.path("mounted");
    fs::create_dir(&place)?;
    shell::output(
        Command::new("mount").args(["-o", "loop,ro,noload"]).arg(project.path("root")).arg(&place),
    )?;
    let found = differences(&place, &project.path("bundle/rootfs"));
    shell::output(Command::new("umount").arg(&place))?;
    let found = found?;
    if !found.is_empty() {
        bail!("the disk's files are not the OCI image's: {}", found.join("; "));
    }
    println!("the disk's root file system has exactly the files of the OCI image");
    Ok(())
}

/// Under software emulation, on a copy.
fn booted(project: &Project, format: &str) -> Result<()> {
    let (disk, variables) = (project.path(&format!("run.{format}")), project.path("variables"));
    shell::output(
        Command::new("cp").arg("--sparse=always").arg(project.path(&format!("ship.{format}"))).arg(&disk),
    )?;
    fs::copy(FIRMWARE[1], &variables)?;
    let console = fs::File::create(project.path("console"))?;
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-machine", "q35,accel=tcg", "-m", "1024", "-nographic", "-no-reboot"]);
    qemu.arg("-drive").arg(format!("if=pflash,format=raw,readonly=on,file={}", FIRMWARE[0]));
    qemu.arg("-drive").arg(format!("if=pflash,format=raw,file={}", variables.display()));
    qemu.arg("-drive").arg(format!("if=virtio,format={format},file={}", disk.display()));
    qemu.arg("-netdev").arg(format!("user,id=net,hostfwd=tcp:127.0.0.1:{PORT}-:8080"));
    qemu.args(["-device", "virtio-net-pci,netdev=net"]);
    let mut child = qemu.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console).spawn()?;
    let began = Instant::now();
    let page = answer(PORT, 400, || child.try_wait().is_ok_and(|ended| ended.is_none()));
    child.kill()?;
    child.wait()?;
    let console = || {
        let text = fs::read_to_string(project.path("console")).unwrap_or_default();
        text.lines().rev().take(20).collect::<Vec<_>>().join("\n")
    };
    let page = page
        .with_context(|| format!("the machine does not answer; its last words, backwards:\n{}", console()))?;
    let seconds = began.elapsed().as_secs();
    println!(
        "booted from {format}: after {seconds} s it answers `{}`",
        page.lines().next().unwrap_or_default()
    );
    Ok(())
}
