//! `detach --foreign`: programs of others are taken off because the operator says so, and nothing else.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{
    fs,
    io::{self, Write as _},
    process, thread,
};

use aya::{
    Ebpf, EbpfLoader,
    programs::{Xdp, XdpMode, links::FdLink},
};
use common::{
    ERROR, Pinned, Process, TCPGUARD, assert_clean, attached, cable, done, eventually, stdout,
    tcpguard, two_cables, xdp_program,
};
use nix::sys::signal::Signal;
use xtask::lab::namespace::Namespace;

/// Takes what is on `guarded` off, by name.
const TAKE_OFF: [&str; 4] = ["detach", "--foreign", "--iface", "guarded"];
/// Programs that are no guard.
static STRANGERS: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/baseline.bpf.o"));

/// An object with a program that is attached by netlink.
fn stranger() -> Pinned {
    Pinned::load(concat!(env!("OUT_DIR"), "/tcpguard-export.bpf.o"))
}

/// Puts it on an interface, by netlink as bpftool does.
fn put(stranger: &Pinned, namespace: &Namespace, mode: &str, interface: &[&str]) {
    let mut attach = namespace.command("bpftool");
    attach.args(["net", "attach", mode, "pinned"]);
    attach.arg(stranger.path("tcpguard_ingress"));
    stdout(attach.arg("dev").args(interface));
}

/// A program that this process attaches by links.
fn bare_drop(object: &mut Ebpf) -> &mut Xdp {
    let program: &mut Xdp = object.program_mut("bare_drop").unwrap().try_into().unwrap();
    program.load().unwrap();
    program
}

#[track_caller]
fn refused(namespace: &Namespace, args: &[&str]) -> String {
    let refused = tcpguard(namespace, args);
    assert_eq!(refused.status.code(), ERROR, "{refused:?}");
    refused.stderr
}

#[test]
fn what_another_tool_has_attached_by_netlink_is_taken_off_in_either_mode() {
    let (server, _street) = cable();
    let stranger = stranger();
    for mode in ["xdpgeneric", "xdpdrv"] {
        put(&stranger, &server, mode, &["guarded"]);
        let told = refused(&server, &["detach", "--iface", "guarded"]);
        assert!(told.contains("--foreign --iface guarded"), "{told}");
        assert_eq!(attached(&server, "guarded").len(), 1);
        let told = done(&server, &TAKE_OFF).stdout;
        assert!(told.contains("attached by netlink"), "{told}");
        assert_clean(&server, "guarded");
    }
    let told = refused(&server, &TAKE_OFF);
    assert!(told.contains("nothing is attached to guarded"), "{told}");
}

#[test]
fn what_has_come_in_the_place_of_what_was_seen_stays() {
    let (server, _street) = two_cables();
    let (seen, newcomer) = (stranger(), stranger());
    for interface in ["guarded", "other"] {
        put(&seen, &server, "xdpgeneric", &[interface]);
    }
    // It has looked at both of them when it stops at a full pipe, between the one and the other.
    let (mut reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&vec![b'.'; 1 << 16]).unwrap();
    let detach = {
        let mut detach = server.command(TCPGUARD);
        Process::spawn_into(
            detach.args(TAKE_OFF).args(["--iface", "other"]),
            writer.into(),
        )
    };
    eventually("the first one is taken off", || {
        xdp_program(&server, "guarded").is_none().then_some(())
    });
    put(&newcomer, &server, "xdpgeneric", &["other", "overwrite"]);
    let expected = xdp_program(&server, "other");
    io::copy(&mut reader, &mut io::sink()).unwrap();
    let ended = detach.end();
    assert_eq!(ended.status.code(), ERROR, "{ended:?}");
    assert!(ended.stderr.contains("in its place stays"), "{ended:?}");
    assert_eq!(xdp_program(&server, "other"), expected);
}

#[test]
fn who_holds_a_link_is_told_be_it_a_process_or_a_file() {
    let (server, _street) = cable();
    let mut object = EbpfLoader::new().btf(None).load(STRANGERS).unwrap();
    let program = bare_drop(&mut object);
    let link = server.within(|| program.attach("guarded", XdpMode::Driver));
    let link = program.take_link(link.unwrap().unwrap()).unwrap();
    // Where no bpffs was, there is one from now on.
    done(&server, &["detach"]);
    let file = format!("/sys/fs/bpf/tcpguard-test-link-{}", process::id());
    let held = FdLink::try_from(link).unwrap().pin(&file).unwrap();
    let told = done(&server, &TAKE_OFF).stdout;
    fs::remove_file(&file).unwrap();
    drop(held);
    for holder in [
        format!("(process {})", process::id()),
        format!("the file {file}"),
    ] {
        assert!(told.contains(&holder), "no {holder:?} in {told}");
    }
    assert_clean(&server, "guarded");
}

#[test]
fn what_is_put_there_again_is_told_with_who_does_it() {
    let (server, _street) = cable();
    let mut object = EbpfLoader::new().btf(None).load(STRANGERS).unwrap();
    let program = bare_drop(&mut object);
    let mut attach = || server.within(|| program.attach("guarded", XdpMode::Driver));
    let _first = attach().unwrap().unwrap();
    let told = thread::scope(|scope| {
        let again = || eventually("the place is free", || attach().unwrap().ok());
        let again = scope.spawn(again);
        let told = refused(&server, &TAKE_OFF);
        again.join().unwrap();
        told
    });
    let holder = format!("(process {})", process::id());
    for word in ["on guarded again: bare_drop", &holder] {
        assert!(told.contains(word), "no {word:?} in {told}");
    }
    assert_eq!(attached(&server, "guarded").len(), 1);
}

#[test]
fn of_a_program_with_links_on_two_interfaces_one_is_taken_off() {
    let (server, _street) = two_cables();
    let mut object = EbpfLoader::new().btf(None).load(STRANGERS).unwrap();
    let program = bare_drop(&mut object);
    let mut attach = |name| server.within(|| program.attach(name, XdpMode::Driver));
    let _links = ["guarded", "other"].map(|name| attach(name).unwrap().unwrap());
    let told = done(&server, &TAKE_OFF).stdout;
    for word in ["bare_drop", "of link", "without effect"] {
        assert!(told.contains(word), "no {word:?} in {told}");
    }
    assert_clean(&server, "guarded");
    assert_eq!(attached(&server, "other").len(), 1);
    // And the way is free.
    done(&server, &["attach", "--iface", "guarded"]);
    done(&server, &["detach"]);
}

#[test]
fn a_guard_is_not_foreign() {
    let (server, _street) = cable();
    let guard = Process::guard(&server, &["guarded"], &["--plain"]);
    let told = refused(&server, &TAKE_OFF);
    assert!(told.contains("ends with its process"), "{told}");
    assert_eq!(attached(&server, "guarded").len(), 2, "it was taken off");
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
    done(&server, &["attach", "--iface", "guarded"]);
    let told = refused(&server, &TAKE_OFF);
    assert!(told.contains("without --foreign"), "{told}");
    assert_eq!(attached(&server, "guarded").len(), 2, "it was taken off");
    done(&server, &["detach"]);
    let unnamed = server
        .command(TCPGUARD)
        .args(["detach", "--foreign"])
        .output();
    assert_eq!(unnamed.unwrap().status.code(), ERROR);
}
