//! `tcpguard explain` as a user runs it.
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on panics, in its helpers as well"
)]

use std::process::{Command, Output};

use tcpguard_common::flags::TcpFlags;

fn explain(args: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_tcpguard"))
        .arg("explain")
        .args(args)
        .output()
        .expect("the program can be started");
    let text = |octets| String::from_utf8(octets).expect("output is UTF-8");
    (status.code(), text(stdout), text(stderr))
}

fn ok(stdout: &str) -> (Option<i32>, String, String) {
    (Some(0), stdout.to_owned(), String::new())
}

#[test]
fn an_illegal_set_has_a_reason_and_a_clause() {
    let right = "\
SYN,FIN: drop, flags-syn-fin
  meaning  SYN and FIN together: open and close at once.
  clause   RFC 6247 (T/TCP, its only sender, is historic); the kernel's tcp_valid_flags
";
    for spelling in ["SYN,FIN", "fin+syn", "SF", "fs"] {
        assert_eq!(explain(&[spelling]), ok(right), "{spelling}");
    }
}

#[test]
fn a_legal_set_has_a_purpose() {
    let right = "\
SYN: accept
  meaning  Opens a connection.
  clause   one of the nine sets of the allow-list, the kernel's tcp_valid_flags (nf_conntrack_proto_tcp.c)
";
    assert_eq!(explain(&["SYN"]), ok(right));
}

#[test]
fn no_flag_at_all_is_a_set_as_well() {
    let right = "\
NULL: drop, flags-null
  meaning  None of SYN, FIN, RST, ACK and URG is set: a NULL scan.
  clause   RFC 9293 section 3.10.7.4 (no ACK bit: drop)
";
    for spelling in ["NULL", "none", "-"] {
        assert_eq!(explain(&["--", spelling]), ok(right), "{spelling}");
    }
}

#[test]
fn masked_flags_are_said_to_be_ignored() {
    let (status, stdout, _) = explain(&["FIN,PSH,URG"]);
    assert_eq!(status, Some(0));
    assert!(
        stdout.starts_with("FIN,PSH,URG: drop, flags-xmas\n"),
        "{stdout}"
    );
    assert!(
        stdout.ends_with("  ignored  PSH: no matter for the verdict\n"),
        "{stdout}"
    );
    let (_, stdout, _) = explain(&["SYN,ECE,CWR,AE"]);
    assert!(stdout.starts_with("SYN,ECE,CWR,NS: accept\n"), "{stdout}");
    assert!(stdout.contains("  ignored  ECE,CWR,NS: "), "{stdout}");
}

#[test]
fn json_has_every_key_in_its_order() {
    let dropped = concat!(
        r#"{"flags":"FS","verdict":"drop","reason":"flags-syn-fin","#,
        r#""clause":"RFC 6247 (T/TCP, its only sender, is historic); the kernel's tcp_valid_flags","#,
        r#""meaning":"SYN and FIN together: open and close at once.","group":"flags"}"#,
        "\n"
    );
    assert_eq!(explain(&["SYN,FIN", "--json"]), ok(dropped));
    let accepted = concat!(
        r#"{"flags":"A","verdict":"accept","reason":"-","#,
        r#""clause":"one of the nine sets of the allow-list, the kernel's tcp_valid_flags "#,
        r#"(nf_conntrack_proto_tcp.c)","#,
        r#""meaning":"Carries data, or acknowledges.","group":"flags"}"#,
        "\n"
    );
    assert_eq!(explain(&["ACK", "--json"]), ok(accepted));
}

#[test]
fn every_legal_set_has_words_of_its_own_kind() {
    for (flags, purpose) in [
        ("S", "Opens a connection."),
        ("SU", "Opens a connection."),
        ("SA", "Answers a SYN and opens the other direction."),
        ("R", "Ends a connection at once."),
        ("RA", "Ends a connection at once, or refuses to open one."),
        ("FA", "Closes the sender's direction of a connection."),
        ("FAU", "Closes the sender's direction of a connection."),
        ("A", "Carries data, or acknowledges."),
        ("AU", "Carries urgent data, or acknowledges."),
    ] {
        let (_, stdout, _) = explain(&[flags]);
        assert!(
            stdout.contains(&format!(": accept\n  meaning  {purpose}\n")),
            "{stdout}"
        );
    }
}

#[test]
fn what_is_no_set_of_flags_is_refused_with_those_there_are() {
    for wrong in ["SYNFIN", "X", "", "SYN,"] {
        let (status, stdout, stderr) = explain(&[wrong]);
        assert_eq!((status, stdout.as_str()), (Some(2), ""), "{wrong:?}");
        for (_, _, name) in TcpFlags::NAMES {
            assert!(stderr.contains(name), "{wrong:?}: {stderr}");
        }
    }
    assert_eq!(explain(&[]).0, Some(2));
}

#[test]
fn on_a_connection_the_numbers_that_come_next_decide() {
    let right = "\
FIN,ACK from reply on CLOSE-WAIT: accept, LAST-ACK follows
  meaning  Closes the sender's direction of a connection.
  clause   RFC 9293 section 3.10.7.4 (ACK, text and FIN)
  numbers  seq 5001, ack 1002: those that come next
";
    for state in ["CLOSE-WAIT", "close-wait"] {
        let args = ["FIN,ACK", "--state", state, "--dir", "reply"];
        assert_eq!(explain(&args), ok(right), "{state}");
    }
}

#[test]
fn without_a_direction_both_are_told_of() {
    let right = "\
SYN,ACK from orig on SYN-SENT: drop, synack-unsolicited, SYN-SENT remains
  meaning  A SYN+ACK that answers no SYN.
  clause   RFC 9293 section 3.10.7.1
  numbers  seq 1000, ack 5000: those that come next
SYN,ACK from reply on SYN-SENT: accept, SYN-RECEIVED follows
  meaning  Answers a SYN and opens the other direction.
  clause   RFC 9293 section 3.10.7.3 (SYN-SENT: SYN and ACK)
  numbers  seq 5000, ack 1001: those that come next
";
    assert_eq!(explain(&["SA", "--state", "syn-sent"]), ok(right));
}

#[test]
fn without_a_connection_there_is_no_direction() {
    let (status, stdout, _) = explain(&["ACK", "--state", "none"]);
    assert_eq!(status, Some(0));
    assert!(
        stdout.starts_with("ACK without a connection: drop, no-connection\n"),
        "{stdout}"
    );
    assert!(
        stdout.contains("\n  unless   the host has a socket for it"),
        "{stdout}"
    );
    let (_, stdout, _) = explain(&["SYN", "--state", "none"]);
    assert!(
        stdout.starts_with("SYN without a connection: accept, SYN-SENT follows\n"),
        "{stdout}"
    );
    assert_eq!(stdout.matches("SYN without").count(), 1);
}

#[test]
fn an_illegal_set_changes_no_connection() {
    let (_, stdout, _) = explain(&["SYN,FIN", "--state", "established", "--dir", "orig"]);
    let head = "SYN,FIN from orig on ESTABLISHED: drop, flags-syn-fin, ESTABLISHED remains\n";
    assert!(stdout.starts_with(head), "{stdout}");
    assert!(!stdout.contains("numbers"), "{stdout}");
}

#[test]
fn json_on_a_connection_has_more_keys_behind_the_others() {
    let orig = concat!(
        r#"{"flags":"RA","verdict":"accept","reason":"-","#,
        r#""clause":"RFC 5961 section 3 (the exact number closes)","#,
        r#""meaning":"Ends a connection at once, or refuses to open one.","group":"state","#,
        r#""state":"ESTABLISHED","dir":"orig","after":"CLOSED","seq":1001,"ack":5001,"#,
        r#""unless":"-"}"#,
        "\n"
    );
    let reply = orig
        .replace("orig", "reply")
        .replace(r#""seq":1001,"ack":5001"#, r#""seq":5001,"ack":1001"#);
    let args = ["RST,ACK", "--state", "established", "--json"];
    assert_eq!(explain(&args), ok(&format!("{orig}{reply}")));
    let args = [args.as_slice(), &["--dir", "orig"]].concat();
    assert_eq!(explain(&args), ok(orig));
}

#[test]
fn what_is_no_state_is_refused_with_those_there_are() {
    let (status, stdout, stderr) = explain(&["SYN", "--state", "open"]);
    assert_eq!((status, stdout.as_str()), (Some(2), ""));
    for name in ["SYN-SENT2", "CLOSED", "none"] {
        assert!(stderr.contains(name), "{stderr}");
    }
    assert_eq!(explain(&["SYN", "--dir", "orig"]).0, Some(2));
}
