use super::*;

fn rules(texts: &[&str]) -> EgressRules {
    EgressRules::parse(texts).unwrap()
}

fn allowed(rules: &EgressRules, host: &str, port: u16, addresses: &[&str]) -> bool {
    let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
    match rules.check(host, port, &addresses) {
        Ok(()) => true,
        Err(fault) => {
            assert!(matches!(fault.class(), DialClass::Egress | DialClass::Resolve));
            false
        }
    }
}

/// Addresses no rule for everything may open.
const NEVER: &[&str] = &[
    // This machine.
    "127.0.0.1",
    "127.0.0.0",
    "127.1.2.3",
    "127.255.255.255",
    "0.0.0.0",
    "0.0.0.1",
    "0.255.255.255",
    "::1",
    "::",
    // Link-local and cloud metadata.
    "169.254.0.0",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.255.255",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.0.170",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "febf:ffff::1",
    "fec0::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    // Multicast, reserved, broadcast.
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.254",
    "255.255.255.255",
    "ff00::",
    "ff02::1",
    "ff05::2",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    // IPv4-mapped (RFC 4291).
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:127.255.255.254",
    "::ffff:0.0.0.0",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::ffff:100.100.100.200",
    "::ffff:224.0.0.1",
    "::ffff:255.255.255.255",
    "::ffff:168.63.129.16",
    // IPv4-compatible (deprecated by RFC 4291).
    "::127.0.0.1",
    "::7f00:1",
    "::169.254.169.254",
    "::0.0.0.2",
    "::100.100.100.200",
    "::255.255.255.255",
    // IPv4-translated (RFC 2765).
    "::ffff:0:127.0.0.1",
    "::ffff:0:169.254.169.254",
    "::ffff:0:a9fe:a9fe",
    // NAT64 (RFC 6052, RFC 8215).
    "64:ff9b::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::100.100.100.200",
    "64:ff9b::0.0.0.0",
    "64:ff9b:1::127.0.0.1",
    "64:ff9b:1::169.254.169.254",
    "64:ff9b:1:a9fe:a9:fe00::",
    "64:ff9b:1:0:7f:0:100:0",
    // 6to4 (RFC 3056).
    "2002:7f00:1::",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "2002:6464:64c8::1",
    "2002::1",
    "2002:e000:1::1",
    "2002:ffff:ffff::1",
    // Teredo (RFC 4380): client in inverted bits, or server.
    "2001:0:cb00:7101::80ff:fffe",
    "2001:0:cb00:7101::5601:5601",
    "2001:0:7f00:1::1",
    "2001:0:a9fe:a9fe::1",
    "2001:0:cb00:7101::ffff:ffff",
    "2001:0:cb00:7101::1fff:fffe",
    "2001:0:e000:1::1",
    "2001:0:cb00:7101::9b9b:9b37",
    // ISATAP (RFC 5214).
    "2001:db8::5efe:127.0.0.1",
    "2001:db8::200:5efe:a9fe:a9fe",
    "2001:db8::5efe:169.254.169.254",
    "fe80::5efe:10.0.0.1",
];

#[test]
fn the_never_list_holds_against_rules_for_everything() {
    assert!(NEVER.len() >= 80, "{}", NEVER.len());
    let all =
        rules(&["0.0.0.0/0:*", "[::]/0:*", "[::ffff:0:0]/96:*", "[2000::]/3:*", "db.example:*"]);
    for address in NEVER {
        assert!(!allowed(&all, "db.example", 5432, &[address]), "{address}");
        assert!(!allowed(&all, address, 5432, &[address]), "{address}");
        assert!(!allowed(&all, "db.example", 5432, &["10.0.0.1", address]), "{address}");
    }
    for address in ["10.0.0.1", "192.168.1.1", "8.8.8.8", "fd00::1", "2001:db8::1", "100.64.0.1"] {
        assert!(allowed(&all, "db.example", 5432, &[address]), "{address}");
    }
}

#[test]
fn without_rules_nothing_is_allowed() {
    let none = EgressRules::default();
    for address in NEVER.iter().chain(&["10.0.0.1", "8.8.8.8", "2001:db8::1"]) {
        assert!(!allowed(&none, "db.example", 5432, &[address]), "{address}");
    }
}

#[test]
fn a_network_rule_means_its_network_and_port() {
    let r = rules(&["10.20.0.0/16:5432", "[fd00::]/8:5432", "192.168.7.9:3306"]);
    assert!(allowed(&r, "any.example", 5432, &["10.20.0.0"]));
    assert!(allowed(&r, "any.example", 5432, &["10.20.255.255", "fd12::1"]));
    assert!(allowed(&r, "192.168.7.9", 3306, &["192.168.7.9"]));
    for (port, addresses) in [
        (5433, &["10.20.0.1"][..]),
        (3306, &["10.20.0.1"]),
        (5432, &["10.21.0.1"]),
        (5432, &["10.19.255.255"]),
        (5432, &["10.20.0.1", "10.21.0.1"]),
        (5432, &["10.20.0.1", "127.0.0.1"]),
        (5432, &["fe00::1"]),
        (5432, &["fd00:ec2::254"]),
        (5432, &["::ffff:10.20.0.1"]),
        (3306, &["192.168.7.8"]),
        (5432, &[]),
    ] {
        assert!(!allowed(&r, "any.example", port, addresses), "{port} {addresses:?}");
    }
}

#[test]
fn a_denied_network_opens_only_to_a_rule_inside_it() {
    let one = rules(&["127.0.0.1/32:5432"]);
    assert!(allowed(&one, "localhost", 5432, &["127.0.0.1"]));
    assert!(!allowed(&one, "localhost", 5432, &["127.0.0.2"]));
    assert!(!allowed(&one, "localhost", 5432, &["::ffff:127.0.0.1"]));
    assert!(!allowed(&one, "localhost", 5433, &["127.0.0.1"]));
    let all = rules(&["127.0.0.0/8:*", "[::1]:*"]);
    assert!(allowed(&all, "localhost", 1, &["127.9.9.9", "::1"]));
    assert!(!allowed(&rules(&["126.0.0.0/7:*", "0.0.0.0/1:*"]), "h", 1, &["127.0.0.1"]));
    assert!(!allowed(&rules(&["localhost:*"]), "localhost", 1, &["127.0.0.1"]));
    assert!(allowed(&rules(&["[::ffff:127.0.0.1]:*"]), "h", 1, &["::ffff:127.0.0.1"]));
    assert!(!allowed(&rules(&["[::ffff:127.0.0.0]/104:*"]), "h", 1, &["::ffff:127.0.0.1"]));
}

#[test]
fn a_name_rule_means_that_name() {
    let r = rules(&["DB.st-mary.example:3306"]);
    assert!(allowed(&r, "db.st-mary.example", 3306, &["10.0.0.1", "203.0.113.9"]));
    assert!(!allowed(&r, "db.st-mary.example", 3307, &["10.0.0.1"]));
    assert!(!allowed(&r, "x.db.st-mary.example", 3306, &["10.0.0.1"]));
    assert!(!allowed(&r, "st-mary.example", 3306, &["10.0.0.1"]));
    assert!(!allowed(&r, "db.st-mary.example", 3306, &["10.0.0.1", "169.254.169.254"]));
}

#[test]
fn malformed_rules_are_refused() {
    for bad in [
        "",
        "10.0.0.1",
        "10.0.0.1:",
        "10.0.0.1:0",
        "10.0.0.1:05432",
        "10.0.0.1:65536",
        "10.0.0.1:x",
        "10.0.0.1/33:1",
        "10.0.0.1/:1",
        "10.0.0.1/-1:1",
        "10.0.0.1/8:1",
        "10.0.0.0/+8:1",
        "010.0.0.1:1",
        "10.1:1",
        "0x7f.0.0.1:1",
        "2130706433:1",
        "fd00::/8:1",
        "fd00::1:1",
        "[fd00::1/64]:1",
        "[fd00::1]/64:1",
        "[fd00::]/129:1",
        "[fd00::",
        "[10.0.0.1]:1",
        "*.example:1",
        "*:1",
        "a_b:1",
        "db.example/24:1",
        "http://db.example:1",
        "db..example:1",
        " db.example:1",
        ":5432",
    ] {
        let fault = EgressRules::parse(&["10.0.0.0/8:1", bad]).expect_err(bad);
        assert_eq!(fault.position, 1);
    }
}
