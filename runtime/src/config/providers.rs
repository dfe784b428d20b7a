//! `[providers]`, and what an endpoint's configuration says beyond its address: whose it is, what for, and how much of it.

use std::{net::IpAddr, time::Duration};

use schemas::limits;
pub use schemas::records::EndpointRole as Role;
use url::{Host, Url};

use super::source::{Collector, Section};

/// `[providers]`: how endpoints are looked after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Providers {
    /// Time between two probes of an endpoint.
    pub probe_every: Duration,
    /// Whether a second endpoint is asked as soon as the first takes longer than most of its answers.
    pub hedge: bool,
    /// How long a liar must agree with the others before it is asked again.
    pub quarantine: Duration,
}

impl Default for Providers {
    fn default() -> Self {
        Self { probe_every: Duration::from_secs(30), hedge: false, quarantine: Duration::from_secs(600) }
    }
}

/// Requests per time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many requests …
    pub requests: u32,
    /// … in that time.
    pub per: Duration,
}

impl Rate {
    /// Requests a second.
    pub fn per_second(self) -> f64 {
        f64::from(self.requests) / self.per.as_secs_f64()
    }
}

/// How many operators must show a block before it is published (rule 24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// Two where there are two.
    Auto,
    /// The word of the endpoint in use is enough.
    Never,
    /// So many, the one in use included.
    Operators(u32),
}

pub(super) fn read(mut s: Section, c: &mut Collector) -> Providers {
    let default = Providers::default();
    let every = limits::PROBE_EVERY;
    let probe_every = s.duration("probe_every", "30s", every, c).unwrap_or(default.probe_every);
    let hedge = s.boolean("hedge", c).unwrap_or(default.hedge);
    let quarantine = s.duration("quarantine", "10m", limits::QUARANTINE, c).unwrap_or(default.quarantine);
    s.finish(c);
    Providers { probe_every, hedge, quarantine }
}

/// `operator` of an endpoint: as it is written, else by its URL.
pub(super) fn read_operator(s: &mut Section, url: Option<&Url>, c: &mut Collector) -> String {
    let Some(p) = s.string("operator", c) else { return url.map(operator_of).unwrap_or_default() };
    let name = p.value.trim();
    if name.is_empty() || name.chars().count() > limits::OPERATOR_CHARACTERS || name.chars().any(char::is_control) {
        let cure = format!(
            "write a name of at most {} characters, such as \"mantle\", or leave it out: the URL's registrable domain",
            limits::OPERATOR_CHARACTERS
        );
        c.mistake(p.at, &s.key("operator"), "is empty, too long, or not in one line", cure);
    }
    name.to_owned()
}

/// Whose endpoint a URL is: its registrable domain by the public suffix list, so that `eth.rpc.example.com` and
/// `rpc.example.com` are one voice, while each customer of a host that gives out names is its own. An IP address is its own, and so
/// is a name without a public suffix.
pub(super) fn operator_of(url: &Url) -> String {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.to_string(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).to_canonical().to_string(),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            // With a scheme that is none of the web's an address is read as a name.
            if let Ok(ip) = name.parse::<IpAddr>() {
                return ip.to_string();
            }
            psl::domain_str(&name).map_or_else(|| name.clone(), str::to_owned)
        }
        None => String::new(),
    }
}

pub(super) fn read_roles(s: &mut Section, c: &mut Collector) -> Vec<Role> {
    const EXAMPLE: &str = "[\"stream\", \"trace\", \"serve\"]";
    if !s.has("roles") {
        return Role::ALL.to_vec();
    }
    let (at, before) = (s.place("roles"), c.count());
    let listed = s.list("roles", Role::ALL.len(), EXAMPLE, c);
    let empty = listed.is_empty() && c.count() == before;
    let mut roles: Vec<Role> = Vec::new();
    for p in listed {
        match Role::ALL.iter().copied().find(|r| r.as_str() == p.value) {
            Some(role) if roles.contains(&role) => {
                c.mistake(p.at, &s.key("roles"), format!("`{}` stands twice", p.value), "write each role once");
            }
            Some(role) => roles.push(role),
            None => {
                let cure = "write stream (following the chain), trace (causes) or serve (readers)";
                c.mistake(p.at, &s.key("roles"), format!("`{}` is not a role", p.value), cure);
            }
        }
    }
    if empty {
        c.mistake(
            at,
            &s.key("roles"),
            "is empty, so that the endpoint would never be asked",
            "leave it out for all of them",
        );
    }
    roles.sort_unstable();
    roles
}

pub(super) fn read_priority(s: &mut Section, c: &mut Collector) -> u16 {
    let Some(p) = s.number("priority", c) else { return 1 };
    u16::try_from(p.value).unwrap_or_else(|_| {
        let problem = format!("is {}", p.value);
        c.mistake(p.at, &s.key("priority"), problem, "write a number up to 65535; lower is asked first");
        1
    })
}

pub(super) fn read_limit(s: &mut Section, c: &mut Collector) -> Option<Rate> {
    let p = s.string("limit", c)?;
    let rate = rate_of(&p.value);
    if rate.is_none() {
        let problem = format!("`{}` is no rate", p.value);
        let cure =
            "write requests per time, such as \"25/s\", \"300/min\" or \"10000/h\", or leave it out: it is found out";
        c.mistake(p.at, &s.key("limit"), problem, cure);
    }
    rate
}

/// `25/s`, `300/min`, `10000/h`.
pub(super) fn rate_of(text: &str) -> Option<Rate> {
    let (requests, per) = text.split_once('/')?;
    let requests = requests.trim().replace('_', "").parse().ok().filter(|n| (1..=limits::RATE_REQUESTS).contains(n))?;
    let secs = match per.trim() {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3_600,
        _ => return None,
    };
    Some(Rate { requests, per: Duration::from_secs(secs) })
}

pub(super) fn read_per_day(s: &mut Section, c: &mut Collector) -> Option<u64> {
    let p = s.number("per_day", c)?;
    if p.value == 0 {
        let cure = "write how many requests a day may cost, such as 500_000, or leave it out";
        c.mistake(p.at, &s.key("per_day"), "is 0, so that the endpoint would never be asked", cure);
    }
    Some(p.value)
}

/// `confirm` of a network whose endpoints are of so many operators.
pub(super) fn read_confirm(s: &mut Section, operators: usize, c: &mut Collector) -> Confirm {
    let cure = "write \"auto\" (two operators where there are two), \"never\", or how many operators, such as 2";
    let Some(p) = s.text_or_number("confirm", c) else { return Confirm::Auto };
    match p.value.as_str() {
        "auto" => return Confirm::Auto,
        "never" => return Confirm::Never,
        _ => {}
    }
    let Ok(wanted) = p.value.parse::<u32>() else {
        c.mistake(p.at, &s.key("confirm"), format!("is `{}`", p.value), cure);
        return Confirm::Auto;
    };
    if wanted == 0 {
        c.mistake(p.at, &s.key("confirm"), "is 0", "write \"never\" where no second word is wanted");
    } else if wanted as usize > operators {
        let many = if operators == 1 { "one operator" } else { "operators" };
        let have = if operators == 1 { many.to_owned() } else { format!("{operators} {many}") };
        let problem = format!("wants {wanted} operators, and the endpoints are of {have}");
        let cure = "add endpoints of others, name whose they are with `operator`, or write \"auto\"";
        c.mistake(p.at, &s.key("confirm"), problem, cure);
    }
    Confirm::Operators(wanted)
}

pub(super) fn read_confirm_within(s: &mut Section, c: &mut Collector) -> Duration {
    s.duration("confirm_within", "2s", limits::CONFIRM_WITHIN, c).unwrap_or(Duration::from_secs(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_the_registrable_domain() {
        let of = |url: &str| operator_of(&url.parse().expect("a URL"));
        assert_eq!(of("https://rpc.mantle.xyz"), "mantle.xyz");
        assert_eq!(of("https://eth-mainnet.g.alchemy.com/v2/key"), "alchemy.com");
        assert_eq!(of("https://a.rpc.example.co.uk:8443/x"), "example.co.uk");
        assert_eq!(of("https://mine.fly.dev"), "mine.fly.dev", "each customer of a host is its own");
        assert_eq!(of("wss://RPC.Example.COM./"), "example.com");
        assert_eq!(of("http://127.0.0.1:8545"), "127.0.0.1");
        assert_eq!(of("http://127.0.0.1:8546"), "127.0.0.1", "whatever the port");
        assert_eq!(of("http://10.0.0.7"), "10.0.0.7");
        assert_eq!(of("http://[::ffff:10.0.0.7]/"), "10.0.0.7");
        assert_eq!(of("http://[2001:db8::1]:1/"), "2001:db8::1");
        assert_eq!(of("tcp://10.0.0.7:50001"), "10.0.0.7");
        assert_eq!(of("ssl://E.Electrum.example.org:50002"), "example.org");
        assert_eq!(of("http://geth:8545"), "geth");
        assert_eq!(of("http://localhost"), "localhost");
    }

    #[test]
    fn rates_are_read() {
        let per_second = |text: &str| rate_of(text).map(Rate::per_second);
        assert_eq!(per_second("25/s"), Some(25.0));
        assert_eq!(per_second("300/min"), Some(5.0));
        assert_eq!(per_second(" 1_800 / h "), Some(0.5));
        for wrong in ["", "25", "/s", "0/s", "-1/s", "25/day", "2.5/s", "25/s/s", "99999999999/s"] {
            assert_eq!(per_second(wrong), None, "{wrong}");
        }
    }
}
