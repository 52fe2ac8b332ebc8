//! Who is answered: the rule of the longest prefix that contains a client's address.

use core::net::IpAddr;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

/// What becomes of a client's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AccessAction {
    /// They are answered.
    #[default]
    Allow,
    /// They are dropped without a word.
    Drop,
    /// They are answered with the kiss code DENY.
    Deny,
    /// They are answered with the kiss code RSTR.
    Restrict,
}

/// What holds for the clients of one prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AccessRule {
    /// What becomes of their requests.
    pub action: AccessAction,
    /// Whether requests without a MAC of a configured key are dropped.
    pub require_key: bool,
}

/// The rules by prefix. A client that no prefix contains is answered: to close a server, give `0.0.0.0/0` and `::/0` a rule
/// of their own. IPv4 clients, and rules for prefixes of `::ffff:0:0/96`, are IPv4 in either spelling.
#[derive(Debug, Clone, Default)]
pub struct AccessTable {
    ipv4: PrefixMap<Ipv4Net, AccessRule>,
    ipv6: PrefixMap<Ipv6Net, AccessRule>,
    any: bool,
}

impl AccessTable {
    /// The table of `rules`. Host bits of a prefix are ignored; of two rules for one prefix the later one holds.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = (IpNet, AccessRule)>) -> Self {
        let mut table = Self::default();
        for (prefix, rule) in rules {
            table.any = true;
            match as_ipv4(prefix) {
                Ok(prefix) => table.ipv4.insert(prefix.trunc(), rule),
                Err(prefix) => table.ipv6.insert(prefix.trunc(), rule),
            };
        }
        table
    }

    /// Whether every client is answered, for want of rules.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        !self.any
    }

    /// The rule for `client`.
    #[inline]
    #[must_use]
    pub fn rule(&self, client: IpAddr) -> AccessRule {
        if self.is_empty() { AccessRule::default() } else { self.longest(client) }
    }

    fn longest(&self, client: IpAddr) -> AccessRule {
        let found = match client.to_canonical() {
            IpAddr::V4(address) => self.ipv4.get_lpm(&Ipv4Net::from(address)).map(|(_, rule)| *rule),
            IpAddr::V6(address) => self.ipv6.get_lpm(&Ipv6Net::from(address)).map(|(_, rule)| *rule),
        };
        found.unwrap_or_default()
    }
}

/// `prefix` as one of IPv4, where it covers nothing else.
fn as_ipv4(prefix: IpNet) -> Result<Ipv4Net, Ipv6Net> {
    match prefix {
        IpNet::V4(prefix) => Ok(prefix),
        IpNet::V6(prefix) => {
            let length = prefix.prefix_len().checked_sub(96);
            let address = prefix.addr().to_ipv4_mapped();
            address.zip(length).and_then(|(address, length)| Ipv4Net::new(address, length).ok()).ok_or(prefix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AccessAction::{Allow, Deny, Drop, Restrict};

    fn table(rules: &[(&str, AccessAction)]) -> AccessTable {
        AccessTable::new(
            rules
                .iter()
                .map(|(prefix, action)| (prefix.parse().unwrap(), AccessRule { action: *action, require_key: false })),
        )
    }

    fn action(table: &AccessTable, client: &str) -> AccessAction {
        table.rule(client.parse().unwrap()).action
    }

    #[test]
    fn the_longest_prefix_decides() {
        let table = table(&[
            ("0.0.0.0/0", Drop),
            ("10.0.0.0/8", Allow),
            ("10.1.0.0/16", Deny),
            ("10.1.2.3/32", Restrict),
            ("fd00::/8", Deny),
            ("fd00:1::/32", Allow),
        ]);
        for (client, expected) in [
            ("192.0.2.1", Drop),
            ("10.2.0.1", Allow),
            ("10.1.0.1", Deny),
            ("10.1.2.3", Restrict),
            ("10.1.2.4", Deny),
            ("fd01::1", Deny),
            ("fd00:1::1", Allow),
            ("2001:db8::1", Allow),
        ] {
            assert_eq!(action(&table, client), expected, "{client}");
        }
    }

    #[test]
    fn nothing_said_is_allowed() {
        assert_eq!(AccessTable::default().rule("192.0.2.1".parse().unwrap()), AccessRule::default());
        assert_eq!(action(&AccessTable::new([]), "::1"), Allow);
        assert_eq!(action(&table(&[("10.0.0.0/8", Drop)]), "11.0.0.1"), Allow);
    }

    #[test]
    fn mapped_addresses_are_ipv4_in_clients_and_in_rules() {
        let table = table(&[("10.0.0.0/8", Drop), ("::ffff:192.0.2.0/120", Deny), ("::/0", Restrict)]);
        assert_eq!(action(&table, "::ffff:10.1.1.1"), Drop);
        assert_eq!(action(&table, "192.0.2.9"), Deny);
        assert_eq!(action(&table, "::ffff:198.51.100.1"), Allow);
        assert_eq!(action(&table, "2001:db8::1"), Restrict);
    }

    #[test]
    fn host_bits_of_a_prefix_are_ignored() {
        assert_eq!(action(&table(&[("10.1.2.3/8", Drop)]), "10.9.9.9"), Drop);
    }
}
