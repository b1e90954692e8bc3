//! `allow_from` and `trusted_proxies`: addresses and networks, and what is doubtful about them.

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};
use toml::Spanned;

use super::SourceSettings;
use super::error::ConfigError;

/// Most networks in a list: each request is held against all of them.
const NETWORKS_MAX: usize = 1000;

/// A list as it was written.
pub(super) type AddressesText = Spanned<Vec<Spanned<String>>>;

/// The networks of a list. A bare address is a network of its own.
pub(super) fn networks(name: &str, written: &AddressesText) -> Result<Vec<IpNet>, ConfigError> {
    match written.get_ref().len() {
        0 => Err(ConfigError::at(written.span(), format!("`{name}` is empty")).help("take the line out, or name somebody")),
        1..=NETWORKS_MAX => written.get_ref().iter().map(network).collect(),
        _ => Err(ConfigError::at(written.span(), format!("`{name}` has at most {NETWORKS_MAX} addresses and networks"))),
    }
}

fn network(written: &Spanned<String>) -> Result<IpNet, ConfigError> {
    let text = written.get_ref();
    let wrong = |message: String| ConfigError::at(written.span(), message);
    let parsed = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let network = parsed.ok_or_else(|| {
        wrong("this is no address and no network".to_owned())
            .help("write `192.0.2.7`, `192.0.2.0/24`, `2001:db8::7` or `2001:db8::/32`, without a name or a port")
    })?;
    if network.trunc() != network {
        return Err(wrong(format!("`{network}` is an address in a network")).help(format!(
            "write `{}` for the whole network, or `{}` for the address alone",
            network.trunc(),
            network.addr()
        )));
    }
    Ok(canonical(network))
}

/// IPv4 addresses in IPv6 spelling are taken for what they are, as those of senders are.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network.addr() {
        IpAddr::V6(address) => address.to_ipv4_mapped(),
        IpAddr::V4(_) => None,
    };
    let shorter = mapped.zip(network.prefix_len().checked_sub(96));
    shorter.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(network, IpNet::from)
}

/// What lets in too many or nobody.
pub(super) fn warnings(sources: &[SourceSettings], listen: SocketAddr, proxies: &[IpNet]) -> Vec<String> {
    let mut found = Vec::new();
    if proxies.iter().any(|network| network.prefix_len() == 0) {
        found.push(
            "trusted_proxies takes everybody's word: any sender can write any address into X-Forwarded-For, so allow_from keeps \
             nobody out; name your proxies' own addresses"
                .to_owned(),
        );
    }
    for source in sources.iter().filter(|source| source.allow_from.is_some()) {
        if listen.ip().is_loopback() && proxies.is_empty() {
            found.push(format!(
                "source {}: allow_from is held against the address of the proxy on this machine, as the listener is on {} and \
                 nobody's X-Forwarded-For counts; set trusted_proxies = [\"{}\"]",
                source.name,
                listen.ip(),
                listen.ip()
            ));
        }
    }
    found
}
