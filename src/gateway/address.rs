//! Who may send to a source, by address: the connection's peer or, behind proxies whose word counts, who they say sent it.
//!
//! `X-Forwarded-For` grows to the right: each proxy adds the address that it was called from, and what stands left of the first one
//! that is not ours may be anybody's invention. So it is read from the right. `Forwarded` is not read: a proxy that knows only the
//! other header hands a sender's own on as it came.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// Most proxies in a row. A longer chain is somebody's invention.
const PROXIES_MAX: usize = 32;
/// Longest entry that can be an address: an IPv6 one in brackets with a port, and some blanks.
const ENTRY_BYTES_MAX: usize = 64;

/// What is known of where a request comes from.
#[derive(Clone, Copy)]
pub struct Sender<'a> {
    /// The other end of the connection.
    pub peer: Option<IpAddr>,
    /// Every `X-Forwarded-For` in order; asked for only where it counts.
    pub forwarded_for: &'a (dyn Fn() -> Vec<&'a [u8]> + Sync),
}

impl fmt::Debug for Sender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// A source's list of who may send.
#[derive(Clone, Debug)]
pub struct AllowedSenders {
    networks: Vec<IpNet>,
    proxies: Vec<IpNet>,
}

impl AllowedSenders {
    /// These networks; `proxies` are those whose `X-Forwarded-For` counts.
    #[must_use]
    pub const fn new(networks: Vec<IpNet>, proxies: Vec<IpNet>) -> Self {
        Self { networks, proxies }
    }

    /// Whether a request may come in.
    ///
    /// # Errors
    /// The address that it comes from, where it may not; none where that cannot be told.
    pub fn admit(&self, sender: Sender<'_>) -> Result<(), Option<IpAddr>> {
        match address(sender, &self.proxies) {
            Some(address) if holds(&self.networks, address) => Ok(()),
            refused => Err(refused),
        }
    }
}

/// The address of who sends: the peer or, if that is a proxy whose word counts, the first address from the right that is no such
/// proxy's. Where all are, the leftmost: one of them sends itself. None where it cannot be told: no peer, an entry on the way that is
/// no address, too many proxies.
fn address(sender: Sender<'_>, proxies: &[IpNet]) -> Option<IpAddr> {
    let mut address = sender.peer?.to_canonical();
    if !holds(proxies, address) {
        return Some(address);
    }
    let lists = (sender.forwarded_for)();
    let mut entries = lists.iter().rev().flat_map(|list| list.rsplit(|byte| *byte == b','));
    for entry in entries.by_ref().take(PROXIES_MAX) {
        address = read(entry)?;
        if !holds(proxies, address) {
            return Some(address);
        }
    }
    entries.next().is_none().then_some(address)
}

fn holds(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// One entry: an address, or one with a port, as some proxies add it.
fn read(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    // A zone means something to its own machine alone.
    if text.len() > ENTRY_BYTES_MAX || text.contains('%') {
        return None;
    }
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse().ok().or_else(with_port).or_else(bracketed);
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests;
