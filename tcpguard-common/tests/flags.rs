//! The allow-list, held against one written down by hand.
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on panics, in its helpers as well"
)]

#[path = "vectors/classes.rs"]
mod classes;

use tcpguard_common::flags::TcpFlags;

/// SYN, SYN+URG, SYN+ACK, RST, RST+ACK, FIN+ACK, FIN+ACK+URG, ACK, ACK+URG.
const LEGAL: [u16; 9] = [0x02, 0x22, 0x12, 0x04, 0x14, 0x11, 0x31, 0x10, 0x30];

fn every_set() -> impl Iterator<Item = TcpFlags> {
    (0..512).map(TcpFlags::new)
}

#[test]
fn nine_sets_are_legal_whatever_psh_ece_cwr_and_ae_are() {
    for flags in every_set() {
        let legal = LEGAL.contains(&(flags.bits() & !0x1c8));
        assert_eq!(flags.is_legal(), legal, "{flags}");
    }
    // Each of them with each of sixteen sets of the four that are masked.
    assert_eq!(every_set().filter(|flags| flags.is_legal()).count(), 9 * 16);
}

#[test]
fn every_illegal_set_is_named() {
    for flags in every_set() {
        assert_eq!(flags.offence(), classes::offence(flags.bits()), "{flags}");
    }
}

#[test]
fn the_table_has_every_class_once_and_agrees_with_the_list() {
    for (bits, offence) in classes::CLASSES {
        assert_eq!(offence.is_none(), LEGAL.contains(&bits), "{bits:#04x}");
        assert_eq!(
            classes::CLASSES
                .iter()
                .filter(|(other, _)| *other == bits)
                .count(),
            1
        );
        assert_eq!(bits & !0x037, 0, "{bits:#04x}");
    }
}

#[test]
fn explicit_congestion_notification_passes() {
    let setup = TcpFlags::SYN.with(TcpFlags::ECE).with(TcpFlags::CWR);
    let answer = TcpFlags::SYN.with(TcpFlags::ACK).with(TcpFlags::ECE);
    // RFC 9768 section 3.1.1: AE, CWR and ECE together ask for AccECN.
    for flags in [
        setup,
        answer,
        setup.with(TcpFlags::AE),
        answer.with(TcpFlags::AE),
    ] {
        assert_eq!(flags.offence(), None, "{flags}");
    }
}

#[test]
fn push_passes_on_every_legal_set() {
    for bits in LEGAL {
        assert_eq!(
            TcpFlags::new(bits).with(TcpFlags::PSH).offence(),
            None,
            "{bits:#04x}"
        );
    }
}

#[test]
fn every_set_comes_back_from_its_letters() {
    for flags in every_set() {
        let letters = flags.to_string();
        assert_eq!(letters.parse(), Ok(flags), "{letters}");
        assert_eq!(letters.to_lowercase().parse(), Ok(flags), "{letters}");
    }
}

#[test]
fn every_set_comes_back_from_its_names() {
    for flags in every_set().filter(|flags| *flags != TcpFlags::NULL) {
        let set = TcpFlags::NAMES
            .iter()
            .filter(|(flag, ..)| flags.contains(*flag));
        let names: Vec<&str> = set.map(|(_, _, name)| *name).collect();
        assert_eq!(names.join(",").parse(), Ok(flags), "{names:?}");
        assert_eq!(
            names.join("+").to_lowercase().parse(),
            Ok(flags),
            "{names:?}"
        );
    }
}

#[test]
fn bits_above_the_nine_are_dropped() {
    // The data offset and the reserved bits share the octet with AE.
    assert_eq!(TcpFlags::new(0xfe02), TcpFlags::SYN);
    assert_eq!(TcpFlags::new(0xff02), TcpFlags::SYN.with(TcpFlags::AE));
}

#[test]
fn words_that_are_no_flags_are_refused_and_others_have_two_names() {
    for word in ["", "SYN,", "X", "SYNFIN", "SYN FIN", "1"] {
        assert!(word.parse::<TcpFlags>().is_err(), "{word:?}");
    }
    for word in ["NULL", "none", "-"] {
        assert_eq!(word.parse(), Ok(TcpFlags::NULL));
    }
    assert_eq!("SYN,AE".parse(), Ok(TcpFlags::SYN.with(TcpFlags::AE)));
    // By itself it is what ACK and ECE are printed as.
    assert_eq!("AE".parse(), Ok(TcpFlags::ACK.with(TcpFlags::ECE)));
}
