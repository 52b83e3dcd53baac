//! Unusual but honest conversations, at every place that can be guarded.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr},
    os::fd::AsRawFd as _,
    thread,
    time::Duration,
};

use common::place::{
    PORT, assert_harmless, assert_in_state, assert_went, brief, guard, guarded_site, lines,
    over_both, pairs, stop_harmless,
};
use nix::sys::socket::{
    MsgFlags, send, setsockopt,
    sockopt::{KeepAlive, OobInline, TcpKeepIdle, TcpKeepInterval},
};
use xtask::lab::{
    line::{Line, Pair, expect_end, meet},
    namespace::Namespace,
    path::Host,
    site::{Family, Guarded, Site},
    traffic::{exchange, say, transfer},
    weather::Weather,
};

/// Something that is sent piece by piece after the other side has closed.
const PIECE: [u8; 1000] = [b'p'; 1000];
const PIECES: usize = 40;

fn half_close(Pair { client, server }: &mut Pair) {
    client.write_all(b"tell me all").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut request = String::new();
    server.read_to_string(&mut request).unwrap();
    assert_eq!(request, "tell me all");
    for _ in 0..PIECES {
        server.write_all(&PIECE).unwrap();
        let mut piece = [0; PIECE.len()];
        client.read_exact(&mut piece).unwrap();
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_half_closed_connection_flows_on_in_the_other_direction() {
    for guarded in Guarded::ALL {
        let (site, mut guard) = guarded_site(guarded, &[]);
        let mut pairs = pairs(&site, PORT);
        over_both(pairs.each_mut(), half_close);
        let reading = guard.fresh_reading().unwrap();
        assert_in_state(&reading, "CLOSE-WAIT", 2, guarded);
        for mut pair in pairs {
            pair.server.shutdown(Shutdown::Write).unwrap();
            expect_end(&mut pair.client).unwrap();
        }
        let reading = guard.fresh_reading().unwrap();
        assert_in_state(&reading, "TIME-WAIT", 2, guarded);
        stop_harmless(guard, guarded);
    }
}

#[test]
fn two_ends_that_open_at_the_same_time_are_connected() {
    for guarded in Guarded::ALL {
        let site = Site::under(guarded, Weather::far(Duration::from_millis(30))).unwrap();
        let mut guard = guard(&site, &[]);
        for family in Family::ALL {
            let one = SocketAddr::new(site.address(Host::Client, family), 1234);
            let other = site.service(family, 4321);
            let mut pair = meet((&site.client, one), (&site.server, other)).unwrap();
            exchange(&mut pair).unwrap();
            let reading = guard.fresh_reading().unwrap();
            assert_in_state(&reading, "ESTABLISHED", 1, guarded);
            transfer(&pair, 200_000).unwrap();
        }
        let reading = stop_harmless(guard, guarded);
        assert_went(&reading, "SYN-SENT>SYN-SENT2", 2, guarded);
    }
}

/// The same four-tuple again and again, one side or the other being the first to close.
fn reuse(line: &Line, client: &Namespace, local: SocketAddr, client_first: bool) {
    for n in 0..3 {
        let Pair {
            mut client,
            mut server,
        } = {
            let mut pair = line
                .connect_from(client, local)
                .unwrap_or_else(|error| panic!("use {n} of {local}: {error:#}"));
            exchange(&mut pair).unwrap();
            pair
        };
        let (first, second) = if client_first {
            (&mut client, &mut server)
        } else {
            (&mut server, &mut client)
        };
        first.shutdown(Shutdown::Write).unwrap();
        expect_end(second).unwrap();
        second.shutdown(Shutdown::Write).unwrap();
        expect_end(first).unwrap();
        if client_first {
            // Its own stack wants another second on the clock of timestamps before it connects.
            thread::sleep(Duration::from_millis(1200));
        }
    }
}

#[test]
fn ports_are_used_again_within_time_wait() {
    for guarded in Guarded::ALL {
        let (site, guard) = guarded_site(guarded, &[]);
        let reuse_early = || fs::write("/proc/sys/net/ipv4/tcp_tw_reuse", "1");
        site.client.within(reuse_early).unwrap().unwrap();
        over_both(lines(&site, PORT), |line| {
            let family = if line.address().is_ipv4() {
                Family::Ipv4
            } else {
                Family::Ipv6
            };
            let local = |port| SocketAddr::new(site.address(Host::Client, family), port);
            reuse(&line, &site.client, local(2001), false);
            reuse(&line, &site.client, local(2002), true);
        });
        let reading = stop_harmless(guard, guarded);
        assert_went(&reading, "TIME-WAIT>SYN-SENT", 2 * 4, guarded);
    }
}

fn keep_alive(pair: &Pair) {
    for stream in [&pair.client, &pair.server] {
        setsockopt(stream, KeepAlive, &true).unwrap();
        setsockopt(stream, TcpKeepIdle, &1).unwrap();
        setsockopt(stream, TcpKeepInterval, &1).unwrap();
    }
}

#[test]
fn idle_connections_are_kept_alive() {
    let scenes = Guarded::ALL.map(|guarded| guarded_site(guarded, &[]));
    let mut pairs = scenes.each_ref().map(|(site, _)| pairs(site, PORT));
    for pair in pairs.as_flattened_mut() {
        exchange(pair).unwrap();
        keep_alive(pair);
    }
    // Eleven seconds: beyond the time within which the other half counts as heard.
    thread::sleep(Duration::from_secs(11));
    for pair in pairs.as_flattened_mut() {
        exchange(pair).unwrap();
    }
    for ((_, mut guard), guarded) in scenes.into_iter().zip(Guarded::ALL) {
        let reading = guard.fresh_reading().unwrap();
        assert_in_state(&reading, "ESTABLISHED", 2, guarded);
        let acks = reading["flags"]["A"].as_u64().unwrap();
        assert!(
            acks >= 2 * 2 * 10,
            "no probes at {guarded:?}: {}",
            brief(&reading)
        );
        stop_harmless(guard, guarded);
    }
}

fn urgent(pair: &mut Pair) {
    setsockopt(&pair.server, OobInline, &true).unwrap();
    for _ in 0..20 {
        pair.client.write_all(b"calm, ").unwrap();
        let sent = send(pair.client.as_raw_fd(), b"now!", MsgFlags::MSG_OOB).unwrap();
        assert_eq!(sent, 4);
        let mut heard = [0; 10];
        pair.server.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"calm, now!");
        say(&mut pair.server, &mut pair.client).unwrap();
    }
}

#[test]
fn urgent_data_passes() {
    for guarded in Guarded::ALL {
        let (site, mut guard) = guarded_site(guarded, &[]);
        over_both(pairs(&site, PORT), |mut pair| urgent(&mut pair));
        let reading = guard.fresh_reading().unwrap();
        assert_harmless(&reading, guarded);
        let flags = reading["flags"].as_object().unwrap();
        let urgent = flags.iter().filter(|(name, _)| name.contains('U'));
        let urgent: u64 = urgent.map(|(_, count)| count.as_u64().unwrap()).sum();
        assert!(urgent >= 40, "{guarded:?}: {}", brief(&reading));
        stop_harmless(guard, guarded);
    }
}
