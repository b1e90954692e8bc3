//! The table of who is taken for the sender, and a model of it that is too plain to be wrong.

use proptest::prelude::*;

use super::*;

fn networks(texts: &[&str]) -> Vec<IpNet> {
    let network = |text: &&str| text.parse().unwrap_or_else(|_| text.parse::<IpAddr>().map(IpNet::from).expect("a network"));
    texts.iter().map(network).collect()
}

/// Who is taken for the sender, told by a peer and its fields.
fn told(peer: &str, proxies: &[&str], lists: &[&str]) -> Option<String> {
    let peer = peer.parse().ok();
    let lists: Vec<Vec<u8>> = lists.iter().map(|list| list.as_bytes().to_vec()).collect();
    let forwarded_for = || lists.iter().map(Vec::as_slice).collect();
    address(Sender { peer, forwarded_for: &forwarded_for }, &networks(proxies)).map(|address| address.to_string())
}

#[test]
fn who_is_no_trusted_proxy_is_the_sender_whatever_it_says() {
    for proxies in [&[][..], &["127.0.0.1"], &["10.0.0.0/8", "::1"]] {
        assert_eq!(told("198.51.100.7", proxies, &["203.0.113.9"]).as_deref(), Some("198.51.100.7"));
        assert_eq!(told("2001:db8::7", proxies, &["garbage"]).as_deref(), Some("2001:db8::7"));
    }
    assert_eq!(told("none", &["0.0.0.0/0", "::/0"], &["203.0.113.9"]), None, "without a peer nobody is known");
}

#[test]
fn a_trusted_proxy_names_the_sender_and_the_list_is_read_from_the_right() {
    let proxies = ["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"];
    for (lists, sender) in [
        (&["203.0.113.9"][..], Some("203.0.113.9")),
        (&["192.0.2.66, 203.0.113.9"], Some("203.0.113.9")),
        (&["192.0.2.66,203.0.113.9 , 10.1.2.3"], Some("203.0.113.9")),
        (&["203.0.113.9, 10.1.2.3, 2001:db8:1::5, 10.9.9.9"], Some("203.0.113.9")),
        (&["192.0.2.66", "203.0.113.9"], Some("203.0.113.9")),
        (&["203.0.113.9", "10.1.2.3", "10.1.2.4"], Some("203.0.113.9")),
        (&["garbage, 203.0.113.9"], Some("203.0.113.9")),
        (&["", "203.0.113.9"], Some("203.0.113.9")),
        (&["203.0.113.9:5678"], Some("203.0.113.9")),
        (&["[2001:db8::9]:443"], Some("2001:db8::9")),
        (&["[2001:db8::9]"], Some("2001:db8::9")),
        (&["2001:DB8:0::9"], Some("2001:db8::9")),
        (&["::ffff:203.0.113.9"], Some("203.0.113.9")),
        (&["203.0.113.9, ::ffff:10.1.2.3"], Some("203.0.113.9")),
        (&["\t203.0.113.9\t"], Some("203.0.113.9")),
        // Nobody but our own proxies: one of them sends itself.
        (&[], Some("127.0.0.1")),
        (&["10.7.7.7, 10.1.2.3"], Some("10.7.7.7")),
    ] {
        assert_eq!(told("127.0.0.1", &proxies, lists).as_deref(), sender, "{lists:?}");
        assert_eq!(told("::ffff:127.0.0.1", &proxies, lists).as_deref(), sender, "{lists:?} from a socket of both families");
    }
}

#[test]
fn an_entry_that_is_no_address_ends_the_walk_and_nobody_is_known() {
    let proxies = ["127.0.0.1", "10.0.0.0/8"];
    for bad in [
        "",
        " ",
        ",",
        "unknown",
        "_hidden",
        "203.0.113.9,",
        "203.0.113.9, , 10.0.0.1",
        "203.0.113.256",
        "203.0.113",
        "0x7f.1",
        "203.0.113.09",
        "203.0.113.9:",
        "203.0.113.9:65536",
        "203.0.113.9:port",
        "2001:db8::9]",
        "[2001:db8::9",
        "[203.0.113.9]",
        "[2001:db8::9]:",
        "fe80::1%eth0",
        "[fe80::1%2]:80",
        "\"203.0.113.9\"",
        "203.0.113.9;10.0.0.1",
        "203.0.113.9 10.0.0.1",
        "203.0.113.9/32",
        "for=203.0.113.9",
        "\u{fc}",
        "203.0.113.9\0",
        "example.com",
    ] {
        assert_eq!(told("127.0.0.1", &proxies, &[bad]), None, "{bad:?}");
        assert_eq!(told("127.0.0.1", &proxies, &["203.0.113.9", bad, "10.0.0.1"]), None, "{bad:?} on the way");
    }
    let long = format!("{}203.0.113.9", " ".repeat(100_000));
    assert_eq!(told("127.0.0.1", &proxies, &[&long]).as_deref(), Some("203.0.113.9"), "blanks are no part of it");
    assert_eq!(told("127.0.0.1", &proxies, &[&"1".repeat(100_000)]), None);
}

#[test]
fn a_chain_of_more_than_32_proxies_is_not_followed() {
    let chain = |proxies: usize| format!("203.0.113.9{}", ", 10.0.0.1".repeat(proxies));
    assert_eq!(told("127.0.0.1", &["127.0.0.1", "10.0.0.0/8"], &[&chain(31)]).as_deref(), Some("203.0.113.9"));
    for too_many in [32, 33, 10_000] {
        assert_eq!(told("127.0.0.1", &["127.0.0.1", "10.0.0.0/8"], &[&chain(too_many)]), None, "{too_many}");
    }
}

#[test]
fn only_who_is_in_a_network_of_the_list_is_admitted_and_the_refused_address_is_told() {
    let allowed = AllowedSenders::new(networks(&["203.0.113.0/24", "192.0.2.1", "2001:db8::/32"]), networks(&["127.0.0.1"]));
    let admit = |peer: &str, list: &'static [u8]| {
        allowed
            .admit(Sender { peer: peer.parse().ok(), forwarded_for: &move || vec![list] })
            .map_err(|refused| refused.map(|ip| ip.to_string()))
    };
    for good in ["203.0.113.0", "203.0.113.255", "192.0.2.1", "::ffff:192.0.2.1", "2001:db8:ffff::1"] {
        assert_eq!(admit(good, b"198.51.100.1"), Ok(()), "{good}");
    }
    for bad in ["203.0.112.255", "203.0.114.0", "192.0.2.2", "2001:db9::", "::1"] {
        assert_eq!(admit(bad, b"192.0.2.1"), Err(Some(bad.to_owned())));
    }
    assert_eq!(admit("127.0.0.1", b"192.0.2.1"), Ok(()));
    assert_eq!(admit("127.0.0.1", b"192.0.2.1, 198.51.100.1"), Err(Some("198.51.100.1".to_owned())));
    assert_eq!(admit("127.0.0.1", b"192.0.2.1, x"), Err(None));
    assert_eq!(admit("nobody", b"192.0.2.1"), Err(None));
}

#[test]
fn the_fields_are_read_only_where_they_count() {
    let never = || -> Vec<&[u8]> { panic!("nobody asked for them") };
    let allowed = AllowedSenders::new(networks(&["203.0.113.9"]), networks(&["127.0.0.1"]));
    assert_eq!(allowed.admit(Sender { peer: "203.0.113.9".parse().ok(), forwarded_for: &never }), Ok(()));
}

/// One entry of the model: small numbers, so that they meet.
#[derive(Clone, Debug)]
enum Entry {
    Proxy(u8),
    Stranger(u8),
    Garbage,
}

impl Entry {
    fn text(&self) -> String {
        match self {
            Self::Proxy(last) => format!("10.0.0.{last}"),
            Self::Stranger(last) => format!("192.0.2.{last}"),
            Self::Garbage => "?".to_owned(),
        }
    }
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![4 => (0_u8..3).prop_map(Entry::Proxy), 2 => (0_u8..3).prop_map(Entry::Stranger), 1 => Just(Entry::Garbage)]
}

proptest! {
    /// The whole chain as one list with the peer at its end: the last stranger is the sender, unless garbage stands behind it.
    #[test]
    fn the_walk_agrees_with_the_model(lists in prop::collection::vec(prop::collection::vec(entry(), 1..6), 0..5), peer in entry()) {
        let chain: Vec<Entry> = lists.iter().flatten().cloned().chain([peer.clone()]).collect();
        let expected = match chain.iter().rposition(|entry| !matches!(entry, Entry::Proxy(_))) {
            Some(at) => Some(&chain[at]).filter(|entry| !matches!(entry, Entry::Garbage)),
            None => chain.first(),
        };
        let texts: Vec<String> = lists.iter().map(|list| list.iter().map(Entry::text).collect::<Vec<_>>().join(", ")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        prop_assert_eq!(told(&peer.text(), &["10.0.0.0/8"], &texts), expected.map(Entry::text));
    }

    /// What stands left of the first stranger from the right changes nothing.
    #[test]
    fn what_a_sender_writes_itself_changes_nothing(invented in prop::collection::vec(any::<u8>(), 0..200), hops in 0_usize..4) {
        let honest = format!("192.0.2.7{}", ", 10.0.0.1".repeat(hops));
        let list = [invented.as_slice(), b",", honest.as_bytes()].concat();
        let forwarded_for = || vec![list.as_slice()];
        let sender = Sender { peer: "10.0.0.2".parse().ok(), forwarded_for: &forwarded_for };
        prop_assert_eq!(address(sender, &networks(&["10.0.0.0/8"])), "192.0.2.7".parse().ok());
    }

    /// No bytes make it panic, and none let in who is not in the list.
    #[test]
    fn no_bytes_let_a_stranger_in(lists in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4)) {
        let forwarded_for = || lists.iter().map(Vec::as_slice).collect();
        let sender = Sender { peer: "10.0.0.2".parse().ok(), forwarded_for: &forwarded_for };
        // No random bytes spell this one.
        let allowed = AllowedSenders::new(networks(&["2001:db8:85a3:8d3:1319:8a2e:370:7348"]), networks(&["10.0.0.0/8"]));
        prop_assert!(allowed.admit(sender).is_err());
    }
}
