//! `[causes]` and `[[contract_source]]`: what may be asked for facts about contracts and for causes of failures, and whom.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::Duration,
};

use schemas::{
    limits::{causes as of_failures, facts as limits},
    records::FactSource,
};
use url::Url;

use super::{
    Network, Rate, Secret,
    network::missing,
    providers::rate_of,
    source::{Collector, Section},
};

/// `[causes]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Causes {
    /// Whether nodes are asked what stands behind contracts.
    pub calls: bool,
    /// Whether nodes are asked why transactions failed.
    pub traces: bool,
    /// A file with rows for the table of causes, which go before ours.
    pub table: Option<PathBuf>,
    /// How long a failed transaction may wait for evidence.
    pub give_up_after: Duration,
    /// Questions to the nodes of one network.
    pub limit: Rate,
    /// Questions to the nodes of one network a day (UTC).
    pub per_day: u64,
}

impl Default for Causes {
    fn default() -> Self {
        Self {
            calls: true,
            traces: true,
            table: None,
            give_up_after: Duration::from_secs(600),
            limit: a_second(limits::CALLS.0),
            per_day: limits::CALLS.1,
        }
    }
}

/// A `[[contract_source]]`: who is asked for names and ABIs.
#[derive(Debug, Clone, PartialEq)]
pub struct ContractSource {
    /// What it is; never the operator.
    pub kind: FactSource,
    /// Where it is.
    pub url: Url,
    /// Its key.
    pub key: Option<Secret>,
    /// Networks that it is asked about; `None`: all EVM networks.
    pub networks: Option<Vec<schemas::Network>>,
    /// Questions per time.
    pub limit: Rate,
    /// Questions a day (UTC).
    pub per_day: u64,
}

impl ContractSource {
    /// Kind and host, as messages name it.
    pub fn name(&self) -> String {
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{} {}{port}", self.kind, self.url.host_str().unwrap_or_default())
    }
}

/// Etherscan's API v2, which has all of its chains under one host.
const ETHERSCAN: &str = "https://api.etherscan.io/v2/api";
/// The public Sourcify repository.
const SOURCIFY: &str = "https://sourcify.dev/server";

fn a_second(requests: u32) -> Rate {
    Rate { requests, per: Duration::from_secs(1) }
}

pub(super) fn read(mut s: Section, folder: &Path, c: &mut Collector) -> Causes {
    let default = Causes::default();
    let calls = s.boolean("calls", c).unwrap_or(default.calls);
    let traces = s.boolean("traces", c).unwrap_or(default.traces);
    let table = s.string("table", c).map(|p| {
        if p.value.trim().is_empty() {
            let cure = "write the name of a file, such as \"causes.toml\", or leave it out";
            c.mistake(p.at, &s.key("table"), "is empty", cure);
        }
        folder.join(p.value)
    });
    let give_up_after = s.duration("give_up_after", "10m", of_failures::GIVE_UP_AFTER, c);
    let give_up_after = give_up_after.unwrap_or(default.give_up_after);
    let limit = read_limit(&mut s, default.limit, c);
    let per_day = read_per_day(&mut s, default.per_day, c);
    s.finish(c);
    Causes { calls, traces, table, give_up_after, limit, per_day }
}

fn read_limit(s: &mut Section, default: Rate, c: &mut Collector) -> Rate {
    let Some(p) = s.string("limit", c) else { return default };
    rate_of(&p.value).unwrap_or_else(|| {
        let cure = "write requests per time, such as \"5/s\", \"60/min\" or \"1000/h\"";
        c.mistake(p.at, &s.key("limit"), format!("`{}` is no rate", p.value), cure);
        default
    })
}

fn read_per_day(s: &mut Section, default: u64, c: &mut Collector) -> u64 {
    let Some(p) = s.number("per_day", c) else { return default };
    if p.value == 0 {
        let cure = format!("write how many questions a day may cost, such as {default}");
        c.mistake(p.at, &s.key("per_day"), "is 0, so that nobody would ever be asked", cure);
    }
    p.value
}

pub(super) fn read_all(sections: Vec<Section>, networks: &[Network], c: &mut Collector) -> Vec<ContractSource> {
    if sections.len() > limits::SOURCES {
        let problem = format!("{} sources; at most {} in one file", sections.len(), limits::SOURCES);
        c.mistake(sections[0].at(), "contract_source", problem, "keep those that have your networks");
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let mut sources = Vec::new();
    for s in sections {
        let at = s.at();
        let key = s.key("url");
        let Some(source) = read_source(s, networks, c) else { continue };
        if !seen.insert((source.kind, source.url.clone())) {
            c.mistake(at, &key, format!("the source {} stands twice", source.name()), "take one of the two out");
        }
        sources.push(source);
    }
    sources
}

fn read_source(mut s: Section, networks: &[Network], c: &mut Collector) -> Option<ContractSource> {
    const KINDS: &str = "write \"etherscan\", \"blockscout\" or \"sourcify\"";
    if !s.has("kind") {
        missing(&s, "kind", "\"sourcify\"", c);
    }
    let kind = s.string("kind", c).and_then(|p| match p.value.parse() {
        Ok(FactSource::Operator) | Err(_) => {
            c.mistake(p.at, &s.key("kind"), format!("`{}` is no kind of contract source", p.value), KINDS);
            None
        }
        Ok(kind) => Some(kind),
    });
    let written = s.has("url");
    let url = s.parsed::<Url>("url", "where it is, such as \"https://explorer.mantle.xyz\"", c).and_then(|p| {
        let good = matches!(p.value.scheme(), "http" | "https") && p.value.host().is_some();
        if !good {
            let cure = "write one such as \"https://explorer.mantle.xyz\"";
            c.mistake(p.at, &s.key("url"), "is not an http or https URL", cure);
        } else if !p.value.username().is_empty() || p.value.password().is_some() || p.value.query().is_some() {
            let cure = "write its address alone, and the key under `key`";
            c.mistake(p.at, &s.key("url"), "has credentials or a query in it", cure);
        }
        good.then_some(p.value)
    });
    let default = match kind {
        Some(FactSource::Etherscan) => ETHERSCAN.parse().ok(),
        Some(FactSource::Sourcify) => SOURCIFY.parse().ok(),
        Some(FactSource::Blockscout) if !written => {
            missing(&s, "url", "\"https://explorer.mantle.xyz\"", c);
            None
        }
        _ => None,
    };
    let key = s.string("key", c).map(|p| {
        if p.value.trim().is_empty() {
            c.mistake(p.at, &s.key("key"), "is empty", "write the source's key, or leave it out");
        }
        Secret::new(p.value)
    });
    if kind == Some(FactSource::Etherscan) && !s.has("key") && key.is_none() {
        missing(&s, "key", "\"${ETHERSCAN_KEY}\"", c);
    }
    let of = read_networks(&mut s, networks, c);
    let limit = read_limit(&mut s, a_second(limits::QUESTIONS.0), c);
    let per_day = read_per_day(&mut s, limits::QUESTIONS.1, c);
    let (name, place) = (s.key("networks"), s.at());
    s.finish(c);
    let source =
        ContractSource { kind: kind?, url: if written { url? } else { default? }, key, networks: of, limit, per_day };
    // One instance is of one chain.
    let pro = source.url.host_str() == Some("api.blockscout.com");
    if source.kind == FactSource::Blockscout && !pro && source.networks.is_none() && networks.len() != 1 {
        let cure = "add a line such as `networks = [\"mantle-mainnet\"]`: an instance knows one chain";
        c.mistake(place, &name, "is missing beside the `url` of a Blockscout instance", cure);
    }
    Some(source)
}

fn read_networks(s: &mut Section, networks: &[Network], c: &mut Collector) -> Option<Vec<schemas::Network>> {
    if !s.has("networks") {
        return None;
    }
    let listed = s.list("networks", super::limits::NETWORKS, "[\"mantle-mainnet\"]", c);
    let mut of = Vec::new();
    for p in listed {
        match networks.iter().find(|n| n.slug.as_str() == p.value) {
            Some(network) => of.push(network.slug.clone()),
            None => {
                let slugs: Vec<&str> = networks.iter().map(|n| n.slug.as_str()).collect();
                let problem = format!("`{}` is not a network of this file", p.value);
                c.mistake(p.at, &s.key("networks"), problem, format!("write of: {}", slugs.join(", ")));
            }
        }
    }
    Some(of)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Mistake};

    fn config(text: &str) -> Result<Config, Vec<Mistake>> {
        let network = |slug: &str, id: u32| {
            format!(
                "[[network]]\nslug = \"{slug}\"\nfamily = \"evm\"\nchain_id = {id}\n[[network.endpoint]]\nname = \"o\"\n\
                 url = \"https://x.example\"\n"
            )
        };
        let text = format!("{}{}{text}", network("a", 1), network("b", 2));
        crate::config::parse(&text, Path::new(""), &|name| (name == "KEY").then(|| "k3y".to_owned()))
    }

    #[test]
    fn nobody_is_asked_who_is_not_configured() {
        let config = config("").expect("good");
        assert!(config.contract_sources.is_empty());
        assert_eq!(config.causes, Causes::default());
        assert!(config.causes.calls && config.causes.limit.per_second() == 5.0);
    }

    #[test]
    fn each_kind_has_what_it_needs() {
        let text = "[causes]\ncalls = false\nlimit = \"1/s\"\nper_day = 7\ntraces = false\ntable = \"causes.toml\"\n\
            give_up_after = \"90s\"\n\
            [[contract_source]]\nkind = \"sourcify\"\n\
            [[contract_source]]\nkind = \"blockscout\"\nurl = \"https://explorer.example\"\nnetworks = [\"b\"]\nlimit = \"3/min\"\nper_day = 9\n\
            [[contract_source]]\nkind = \"etherscan\"\nkey = \"${KEY}\"\n";
        let config = config(text).expect("good");
        assert_eq!((config.causes.calls, config.causes.limit.per_second(), config.causes.per_day), (false, 1.0, 7));
        let causes = &config.causes;
        assert_eq!((causes.traces, causes.give_up_after), (false, Duration::from_secs(90)));
        assert_eq!(causes.table.as_deref(), Some(Path::new("causes.toml")), "in the configuration's folder");
        let names: Vec<String> = config.contract_sources.iter().map(ContractSource::name).collect();
        assert_eq!(names, ["sourcify sourcify.dev", "blockscout explorer.example", "etherscan api.etherscan.io"]);
        let blockscout = &config.contract_sources[1];
        assert_eq!(blockscout.networks.as_deref().map(|of| of[0].as_str()), Some("b"));
        assert_eq!((blockscout.limit.per_second(), blockscout.per_day), (0.05, 9));
        let key = config.contract_sources[2].key.as_ref().expect("one");
        assert!(key.expose() == "k3y" && !format!("{config:?}").contains("k3y"));
    }

    #[test]
    fn each_mistake_has_its_key() {
        for (text, key, words) in [
            ("[causes]\nlimit = \"fast\"", "causes.limit", "no rate"),
            ("[causes]\nper_day = 0", "causes.per_day", "is 0"),
            ("[causes]\ntable = \"\"", "causes.table", "is empty"),
            ("[causes]\ngive_up_after = \"2d\"", "causes.give_up_after", "is 2d"),
            ("[causes]\ntabel = \"x\"", "causes.tabel", "is not known"),
            ("[[contract_source]]\nurl = \"https://x.example\"", "contract_source[0].kind", "is missing"),
            ("[[contract_source]]\nkind = \"operator\"", "contract_source[0].kind", "no kind"),
            ("[[contract_source]]\nkind = \"blockscout\"", "contract_source[0].url", "is missing"),
            ("[[contract_source]]\nkind = \"etherscan\"", "contract_source[0].key", "is missing"),
            ("[[contract_source]]\nkind = \"sourcify\"\nkey = \"\"", "contract_source[0].key", "is empty"),
            ("[[contract_source]]\nkind = \"sourcify\"\nurl = \"ftp://x\"", "contract_source[0].url", "http"),
            (
                "[[contract_source]]\nkind = \"sourcify\"\nurl = \"https://x.example/?apikey=1\"",
                "contract_source[0].url",
                "query",
            ),
            (
                "[[contract_source]]\nkind = \"sourcify\"\nnetworks = [\"c\"]",
                "contract_source[0].networks",
                "not a network",
            ),
            (
                "[[contract_source]]\nkind = \"blockscout\"\nurl = \"https://x.example\"",
                "contract_source[0].networks",
                "is missing",
            ),
            (
                "[[contract_source]]\nkind = \"sourcify\"\n[[contract_source]]\nkind = \"sourcify\"",
                "contract_source[1].url",
                "stands twice",
            ),
        ] {
            let mistakes = config(text).expect_err(text);
            let found = mistakes.iter().any(|m| m.key == key && m.problem.contains(words));
            assert!(found && mistakes.len() == 1, "{text}: {mistakes:?}");
        }
    }
}
