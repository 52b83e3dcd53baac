//! From where the operator is connected.

use std::{fs, net::IpAddr, sync::OnceLock};

/// What sshd sets: address and port of the client, then of the server (sshd(8)).
const VARIABLE: &str = "SSH_CONNECTION=";

/// The other end of the SSH session that this process was started in; nothing if there is none, or it
/// cannot be known. Found out once: who has given its capabilities up may not look at its parents any more.
pub(super) fn peer() -> Option<IpAddr> {
    static PEER: OnceLock<Option<IpAddr>> = OnceLock::new();
    *PEER.get_or_init(find)
}

/// sudo hides it from the process itself, so its parents are asked as well.
fn find() -> Option<IpAddr> {
    /// A shell in a shell in a multiplexer in a shell.
    const GENERATIONS: usize = 32;
    let mut process = "self".to_owned();
    for _ in 0..GENERATIONS {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        if let Some(peer) = peer_in(&String::from_utf8_lossy(&environment)) {
            return Some(peer);
        }
        process = parent(&process).filter(|parent| parent != "0")?;
    }
    None
}

fn peer_in(environment: &str) -> Option<IpAddr> {
    let mut variables = environment.split('\0');
    let connection = variables.find_map(|variable| variable.strip_prefix(VARIABLE))?;
    let address = connection.split(' ').next()?;
    // Of a link-local address, the interface is named as well.
    address.split('%').next()?.parse().ok()
}

fn parent(process: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let mut lines = status.lines();
    let parent = lines.find_map(|line| line.strip_prefix("PPid:"))?;
    Some(parent.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_the_first_address_of_the_variable() {
        let of = |text: &str| peer_in(text).map(|peer| peer.to_string());
        let environment = "A=1\0SSH_CONNECTION=192.0.2.7 40000 192.0.2.1 22\0B=2";
        assert_eq!(of(environment).as_deref(), Some("192.0.2.7"));
        let link_local = "SSH_CONNECTION=fe80::7%eth0 40000 fe80::1%eth0 22";
        assert_eq!(of(link_local).as_deref(), Some("fe80::7"));
        assert_eq!(of("XSSH_CONNECTION=192.0.2.7 1 192.0.2.1 22"), None);
    }

    #[test]
    fn a_process_has_a_parent() {
        let own = std::os::unix::process::parent_id().to_string();
        assert_eq!(parent("self"), Some(own));
    }
}
