//! `detach --foreign`: programs of others are taken off because the operator says so, and nothing else.

mod common;

use aya::{
    EbpfLoader,
    programs::{Xdp, XdpMode},
};
use common::{
    ERROR, Pinned, Process, TCPGUARD, assert_clean, attached, cable, done, stdout, tcpguard,
    two_cables,
};
use nix::sys::signal::Signal;
use xtask::lab::namespace::Namespace;

/// Takes what is on `guarded` off, by name.
const TAKE_OFF: [&str; 4] = ["detach", "--foreign", "--iface", "guarded"];
/// Programs that are no guard.
static STRANGERS: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/baseline.bpf.o"));

#[track_caller]
fn refused(namespace: &Namespace, args: &[&str]) -> String {
    let refused = tcpguard(namespace, args);
    assert_eq!(refused.status.code(), ERROR, "{refused:?}");
    refused.stderr
}

#[test]
fn what_another_tool_has_attached_by_netlink_is_taken_off_in_either_mode() {
    let (server, _street) = cable();
    let object = Pinned::load(concat!(env!("OUT_DIR"), "/tcpguard-export.bpf.o"));
    for mode in ["xdpgeneric", "xdpdrv"] {
        let mut attach = server.command("bpftool");
        attach.args(["net", "attach", mode, "pinned"]);
        attach.arg(object.path("tcpguard_ingress"));
        stdout(attach.args(["dev", "guarded"]));
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
fn of_a_program_with_links_on_two_interfaces_one_is_taken_off() {
    let (server, _street) = two_cables();
    let mut object = EbpfLoader::new().btf(None).load(STRANGERS).unwrap();
    let program: &mut Xdp = object.program_mut("bare_drop").unwrap().try_into().unwrap();
    program.load().unwrap();
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
