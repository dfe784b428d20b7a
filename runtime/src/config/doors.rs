//! What listens: `[api]`, `[admin]` and the ports' rules, which hold over several sections.

use std::net::{IpAddr, SocketAddr};

use schemas::limits;
use url::Url;

use super::source::{Collector, Placed, Section};
use crate::hosts;

/// An address that is listened on, with what it takes to speak of its key.
pub struct Door {
    /// The address.
    pub address: SocketAddr,
    /// Where the key stands; where its section would, when it is left out.
    pub at: usize,
    /// Whether the key is there.
    pub written: bool,
    /// The section's name.
    pub section: &'static str,
}

/// `listen` of a section.
pub fn listen(s: &mut Section, section: &'static str, default: &str, c: &mut Collector) -> Door {
    let written = s.has("listen");
    let found = s.parsed("listen", &format!("an address and a port, such as \"{default}\""), c);
    let at = found.as_ref().map_or(s.at(), |p| p.at);
    let address = found.map_or_else(|| default.parse().expect("the defaults are addresses"), |p| p.value);
    Door { address, at, written, section }
}

/// `hosts` of a section: names under which its port may be called.
pub fn read_hosts(s: &mut Section, c: &mut Collector) -> Vec<String> {
    let listed = s.list("hosts", limits::HOSTS, "[\"headwater.example.org\"]", c);
    let good = listed.into_iter().filter(|p| match hosts::wrong_name(&p.value) {
        None => true,
        Some((problem, cure)) => {
            c.mistake(p.at, &s.key("hosts"), format!("`{}` {problem}", p.value), cure);
            false
        }
    });
    good.map(|p| p.value).collect()
}

/// `allowed_origins`: sites whose pages may call the API, as browsers write them in `Origin`.
pub fn read_origins(s: &mut Section, c: &mut Collector) -> Vec<String> {
    let listed = s.list("allowed_origins", limits::ORIGINS, "[\"https://ops.example.org\"]", c);
    let read = listed.into_iter().filter_map(|p| match origin(&p.value) {
        Ok(origin) => Some(origin),
        Err(cure) => {
            let problem = format!("`{}` is not an origin (https://host[:port])", p.value);
            c.mistake(p.at, &s.key("allowed_origins"), problem, cure);
            None
        }
    });
    read.collect()
}

/// The origin of a text that is nothing else, in the form that browsers send; what to write instead otherwise.
fn origin(text: &str) -> Result<String, String> {
    const EXAMPLE: &str = "write scheme, host and port of a site, such as \"https://ops.example.org\"";
    if text.contains('*') || text == "null" {
        return Err("name each site: what every page could call, every page could read".to_owned());
    }
    let url = Url::parse(text).map_err(|_| EXAMPLE.to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(EXAMPLE.to_owned());
    }
    let origin = url.origin().ascii_serialization();
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    match bare && url.username().is_empty() && url.password().is_none() {
        true => Ok(origin),
        false => Err(format!("write only scheme, host and port: \"{origin}\"")),
    }
}

/// Each door has a port of its own.
pub fn check_ports(doors: &[&Door], c: &mut Collector) {
    for (i, &door) in doors.iter().enumerate() {
        let Some(&other) = doors[..i].iter().find(|other| clash(other.address, door.address)) else { continue };
        // The key that somebody wrote is the one to change; of two, the later in the file.
        let (at, section, other) = match (door.written, other.written) {
            (false, true) => (other.at, other.section, door),
            (true, true) if other.at > door.at => (other.at, other.section, door),
            _ => (door.at, door.section, other),
        };
        let default = if other.written { "" } else { ", which is its default" };
        let problem = format!("is the port of `[{}] listen` too ({}{default})", other.section, other.address);
        c.mistake(at, &format!("{section}.listen"), problem, "write an address with another port");
    }
}

/// Whether two sockets cannot be bound at the same time. Port 0 is any free one.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let (x, y) = (a.ip().to_canonical(), b.ip().to_canonical());
    let everything = |ip: IpAddr| ip.is_unspecified();
    a.port() == b.port() && a.port() != 0 && (x == y || everything(x) || everything(y))
}

/// Passwords of a store that other machines reach are not short.
pub fn check_password(door: &Door, key: String, password: Option<&Placed<String>>, c: &mut Collector) {
    let Some(p) = password.filter(|p| p.value.chars().count() < limits::PASSWORD_CHARACTERS) else { return };
    if !door.address.ip().to_canonical().is_loopback() {
        let least = limits::PASSWORD_CHARACTERS;
        let problem =
            format!("is shorter than {least} characters, and other machines reach the store at {}", door.address);
        c.mistake(p.at, &key, problem, "write a longer one, leave it out (one is made), or listen on 127.0.0.1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_write_them() {
        for (written, sent) in [
            ("https://ops.example", "https://ops.example"),
            ("https://Ops.Example:443/", "https://ops.example"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("https://büro.example", "https://xn--bro-hoa.example"),
            ("http://[fd00::1]:80", "http://[fd00::1]"),
        ] {
            assert_eq!(origin(written).as_deref(), Ok(sent), "{written}");
        }
        for (wrong, cure) in [
            ("https://ops.example/app", "\"https://ops.example\""),
            ("https://u:p@ops.example", "\"https://ops.example\""),
            ("https://ops.example?x", "\"https://ops.example\""),
            ("ops.example", "https://ops.example.org"),
            ("ops.example:8080", "https://ops.example.org"),
            ("file:///x", "https://ops.example.org"),
            ("", "https://ops.example.org"),
            ("*", "each site"),
            ("https://*.example", "each site"),
            ("null", "each site"),
        ] {
            let told = origin(wrong).expect_err(wrong);
            assert!(told.contains(cure), "{wrong}: {told}");
        }
    }

    #[test]
    fn ports_clash_where_both_cannot_be_bound() {
        let clash = |a: &str, b: &str| clash(a.parse().expect("address"), b.parse().expect("address"));
        assert!(clash("127.0.0.1:80", "127.0.0.1:80") && clash("0.0.0.0:80", "127.0.0.1:80"));
        assert!(clash("[::]:80", "10.0.0.1:80") && clash("[::ffff:10.0.0.1]:80", "10.0.0.1:80"));
        assert!(!clash("127.0.0.1:80", "127.0.0.1:81") && !clash("127.0.0.1:80", "10.0.0.1:80"));
        assert!(!clash("127.0.0.1:0", "127.0.0.1:0"), "any free port, twice");
    }
}
