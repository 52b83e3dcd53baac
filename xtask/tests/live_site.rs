//! The guarded places without a guard: what goes through them, and what comes back.

use std::{net::SocketAddr, time::Duration};

use tcpguard_common::flags::TcpFlags;
use xtask::lab::{
    forge::{Dice, Forger, blind, syn_flood},
    line::{Line, expect_end, meet},
    overhear::{Arrivals, Heard, overhear},
    path::Host,
    site::{ETH0, Family, Guarded, Site},
    traffic::{Ending, exchange, say, short_connections, transfer},
    weather::Weather,
};

const PAUSE: Duration = Duration::from_millis(3);

#[test]
fn every_site_carries_transfers_and_short_connections() {
    for guarded in Guarded::ALL {
        let site = Site::new(guarded).unwrap();
        for family in Family::ALL {
            let line = Line::open(&site.server, site.service(family, 80)).unwrap();
            let pair = line.connect(&site.client).unwrap();
            transfer(&pair, 10_000_000).unwrap();
            short_connections(&line, &site.client, 30, &Ending::ALL).unwrap();
        }
    }
}

#[test]
fn two_ends_meet_over_a_long_way_without_a_listener() {
    let site = Site::under(Guarded::Router, Weather::far(Duration::from_millis(30))).unwrap();
    for family in Family::ALL {
        let one = SocketAddr::new(site.address(Host::Client, family), 1234);
        let other = site.service(family, 4321);
        let mut pair = meet((&site.client, one), (&site.server, other)).unwrap();
        exchange(&mut pair).unwrap();
        transfer(&pair, 100_000).unwrap();
    }
}

#[test]
fn a_flood_from_nobody_is_answered_and_the_answers_lead_nowhere() {
    for guarded in [Guarded::Server, Guarded::Router] {
        let site = Site::new(guarded).unwrap();
        for family in Family::ALL {
            let target = site.service(family, 80);
            let _line = Line::open(&site.server, target).unwrap();
            let arrivals = Arrivals::start(&site.stranger, ETH0).unwrap();
            let forger = Forger::new(&site, Host::Server).unwrap();
            let flood = syn_flood(family, target, 1000, &mut Dice::new(1)).collect::<Vec<_>>();
            assert_eq!(forger.send(flood, PAUSE).unwrap(), 1000);
            let answers = arrivals.settled();
            assert!(answers >= 1000, "{guarded:?} {family:?}: {answers}");
        }
    }
}

#[test]
fn an_unguarded_connection_dies_of_the_exact_reset_and_of_no_other() {
    for family in Family::ALL {
        let site = Site::new(Guarded::Server).unwrap();
        let line = Line::open(&site.server, site.service(family, 80)).unwrap();
        let mut pair = line.connect(&site.client).unwrap();
        let ends = pair.addresses().unwrap();
        let forger = Forger::new(&site, Host::Server).unwrap();
        let mut dice = Dice::new(7);
        let resets: Vec<_> = (0..500)
            .map(|_| blind(ends, TcpFlags::RST, 0, &mut dice))
            .collect();
        forger.send(resets, PAUSE).unwrap();
        exchange(&mut pair).unwrap();

        let by_client = |heard: &Heard| heard.ports.0 == ends.0.port() && heard.len > 0;
        let heard = overhear(&site.client, ETH0, by_client, || exchange(&mut pair)).unwrap();
        let mut reset = blind(ends, TcpFlags::RST, 0, &mut dice);
        reset.seq = heard.unwrap().next_seq();
        forger.send([reset], PAUSE).unwrap();
        expect_end(&mut pair.server).unwrap();
        assert!(say(&mut pair.client, &mut pair.server).is_err());
    }
}
