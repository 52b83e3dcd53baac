//! What the kernel does with a link and the library does not, or not without taking the link from who
//! asks for it: a failure would then take the program off.
#![expect(
    unsafe_code,
    reason = "the library hands out no descriptor of a link, and detaches none that it has not made"
)]

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
    path::Path,
};

use anyhow::{Context as _, Result};
use aya::programs::links::FdLink;

/// `BPF_LINK_UPDATE`, since Linux 5.7.
const UPDATE: libc::c_long = 29;
/// `BPF_LINK_GET_FD_BY_ID`
const GET: libc::c_long = 30;
/// `BPF_LINK_DETACH`, since Linux 5.9.
const DETACH: libc::c_long = 34;

/// The link with this number.
pub(crate) fn open(number: u32) -> io::Result<OwnedFd> {
    let descriptor = bpf(GET, [number, 0])?;
    // SAFETY: the kernel has just opened it for this process.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Detaches a link in place: whoever holds it keeps it, and it does nothing.
pub(crate) fn detach(link: &OwnedFd) -> Result<()> {
    bpf(DETACH, [number(link)?, 0])?;
    Ok(())
}

/// The same of one that the library holds.
pub(crate) fn detach_held(link: &FdLink) -> Result<()> {
    bpf(DETACH, [number(descriptor(link)?)?, 0])?;
    Ok(())
}

/// Changes the program of a link, between two frames.
pub(crate) fn update(link: &FdLink, program: &impl AsFd) -> Result<()> {
    bpf(UPDATE, [number(descriptor(link)?)?, number(program)?])?;
    Ok(())
}

/// Whether a link of XDP or tcx is attached to nothing: its interface is gone, or it was detached in place.
pub(crate) fn is_dead(link: &FdLink) -> Result<bool> {
    Ok(interface_index(&descriptor(link)?)? == Some(0))
}

/// The kernel's number of the interface that a link is on, in whatever network namespace; `None` if it is of another
/// kind.
pub(crate) fn interface_index(link: &impl AsFd) -> io::Result<Option<u32>> {
    let told = told(link)?;
    let index = told.lines().find_map(|line| line.strip_prefix("ifindex:"));
    Ok(index.and_then(|index| index.trim().parse().ok()))
}

/// What the kernel says of an open link of this process.
fn told(link: &impl AsFd) -> io::Result<String> {
    fs::read_to_string(format!("/proc/self/fdinfo/{}", link.as_fd().as_raw_fd()))
}

/// The descriptor of a link, by what the kernel says of all that this process has.
fn descriptor(link: &FdLink) -> Result<BorrowedFd<'_>> {
    let found = descriptor_in(Path::new("/proc/self"), link.info()?.id());
    let descriptor = found
        .context("its link is not among the open files of this process (is /proc mounted?)")?;
    // SAFETY: it is that of `link`, or another of the same link that lives as long: this process opens
    // each once.
    Ok(unsafe { BorrowedFd::borrow_raw(descriptor) })
}

/// By which descriptor the process of a folder of /proc has the link of this number open, if that can be
/// read.
pub(crate) fn descriptor_in(process: &Path, link: u32) -> Option<RawFd> {
    let wanted = format!("link_id:\t{link}");
    let mut files = fs::read_dir(process.join("fdinfo")).ok()?.flatten();
    let file = files.find(|file| {
        // One may be closed meanwhile, as that of this list is.
        let told = fs::read_to_string(file.path()).unwrap_or_default();
        told.lines().any(|line| line == wanted)
    });
    file?.file_name().to_str()?.parse().ok()
}

fn number(file: impl AsFd) -> Result<u32> {
    Ok(u32::try_from(file.as_fd().as_raw_fd())?)
}

/// A command with two numbers, of which it may read one.
fn bpf(command: libc::c_long, numbers: [u32; 2]) -> io::Result<i32> {
    let argument = [numbers[0], numbers[1], 0, 0];
    let (pointer, size) = (argument.as_ptr(), size_of_val(&argument));
    // SAFETY: the kernel reads the argument, and writes nothing.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, pointer, size) };
    match i32::try_from(result) {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}
