//! Which network namespace this is.
#![expect(unsafe_code, reason = "no library asks a socket for its namespace")]

use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd as _},
        unix::{fs::MetadataExt as _, net::UnixDatagram},
    },
    ptr,
};

use anyhow::{Context as _, Result};

/// The network namespace of this thread: its inode, by which `lsns` names it, and its cookie. The kernel gives the
/// inode of a namespace that has gone to the next one, and the cookie never again.
pub(crate) fn network() -> Result<String> {
    let cookie = UnixDatagram::unbound().and_then(|any| cookie(&any));
    let cookie = cookie.context("failed to read the cookie of this network namespace")?;
    Ok(format!("{}-{cookie}", inode("thread-self", "net")?))
}

/// The inode of a namespace of a process.
pub(crate) fn inode(process: &str, kind: &str) -> Result<u64> {
    let path = format!("/proc/{process}/ns/{kind}");
    let namespace = fs::metadata(&path).with_context(|| format!("failed to read {path}"))?;
    Ok(namespace.ino())
}

/// `SO_NETNS_COOKIE`, since Linux 5.14: of the namespace in which a socket was opened.
fn cookie(socket: &impl AsFd) -> io::Result<u64> {
    const SIZE: libc::socklen_t = u64::BITS / u8::BITS;
    let (mut cookie, mut size) = (0_u64, SIZE);
    let (descriptor, value) = (socket.as_fd().as_raw_fd(), ptr::from_mut(&mut cookie));
    // SAFETY: the kernel writes no more octets of the value than it is told the size of.
    let result = unsafe {
        libc::getsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            value.cast(),
            ptr::from_mut(&mut size),
        )
    };
    if result == 0 {
        Ok(cookie)
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_one_namespace_are_in_one_and_its_inode_is_told() {
        let here = network().unwrap();
        let there = std::thread::spawn(network).join().unwrap().unwrap();
        assert_eq!(here, there);
        let (told, cookie) = here.split_once('-').unwrap();
        assert_eq!(told, inode("self", "net").unwrap().to_string());
        assert_ne!(cookie.parse::<u64>().unwrap(), 0);
    }
}
