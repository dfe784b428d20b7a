//! `[[contract]]`: the operator's contracts.

use std::{collections::HashSet, fs::File, io::Read, path::Path};

use schemas::{Family, Mistake, abi::Abi, limits::control as limits, names};

use super::{
    Network,
    network::missing,
    source::{Collector, Placed, Section},
};

/// One of the operator's contracts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The network it lives on.
    pub network: schemas::Network,
    /// Lower-case `0x` address.
    pub address: String,
    /// Its name; its address where it was left out.
    pub name: String,
    /// Words to find it by.
    pub labels: Vec<String>,
    /// Its ABI, as the file that is named had it.
    pub abi: Option<Abi>,
}

pub(super) fn read_all(
    sections: Vec<Section>,
    networks: &[Network],
    folder: &Path,
    c: &mut Collector,
) -> Vec<Contract> {
    if sections.len() > limits::FILE_CONTRACTS {
        let problem = format!("{} contracts; at most {} in one file", sections.len(), limits::FILE_CONTRACTS);
        c.mistake(sections[0].at(), "contract", problem, "add the others while it runs: POST /api/v1/contracts");
        return Vec::new();
    }
    let mut seen = HashSet::new();
    sections.into_iter().filter_map(|s| read(s, networks, folder, &mut seen, c)).collect()
}

fn read(
    mut s: Section,
    networks: &[Network],
    folder: &Path,
    seen: &mut HashSet<(schemas::Network, String)>,
    c: &mut Collector,
) -> Option<Contract> {
    if !s.has("network") {
        missing(&s, "network", "\"mantle-mainnet\"", c);
    }
    let network = s.string("network", c).and_then(|p| {
        let known = networks.iter().find(|n| n.slug.as_str() == p.value);
        if let Some(other) = known.filter(|n| n.family() != Family::Evm) {
            let problem = format!("`{}` is of family {}, which has no contracts", p.value, other.family());
            c.mistake(p.at, &s.key("network"), problem, "write a network of family evm");
        }
        let known = known.map(|n| n.slug.clone());
        if known.is_none() {
            let slugs: Vec<&str> = networks.iter().map(|n| n.slug.as_str()).collect();
            let problem = format!("`{}` is not a network of this file", p.value);
            c.mistake(p.at, &s.key("network"), problem, format!("write one of: {}", slugs.join(", ")));
        }
        known
    });
    if !s.has("address") {
        missing(&s, "address", "\"0x…\"", c);
    }
    let address = s.string("address", c).and_then(|p| read_address(&s, p, network.as_ref(), seen, c));
    let name = s.string("name", c).map(|p| {
        let mut mistakes = Vec::new();
        let name = names::name("name", &p.value, &mut mistakes);
        tell(mistakes, p.at, &s.key("name"), c);
        name
    });
    let at = s.place("labels");
    let labels = s.list("labels", limits::LABELS.0, "[\"dex\"]", c);
    let labels: Vec<String> = labels.into_iter().map(|p| p.value).collect();
    let mut mistakes = Vec::new();
    let labels = names::labels(&labels, &mut mistakes);
    tell(mistakes, at, &s.key("labels"), c);
    let abi = s.string("abi", c).and_then(|p| read_abi(&folder.join(&p.value), p.at, &s.key("abi"), c));
    s.finish(c);
    let address = address?;
    Some(Contract { network: network?, name: name.unwrap_or_else(|| address.clone()), address, labels, abi })
}

fn read_address(
    s: &Section,
    p: Placed<String>,
    network: Option<&schemas::Network>,
    seen: &mut HashSet<(schemas::Network, String)>,
    c: &mut Collector,
) -> Option<String> {
    let lower = p.value.to_ascii_lowercase();
    let digits = lower.strip_prefix("0x").unwrap_or("");
    if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        c.mistake(p.at, &s.key("address"), format!("`{}` is not an address", p.value), "write 0x and 40 hex digits");
        return None;
    }
    if let Some(network) = network
        && !seen.insert((network.clone(), lower.clone()))
    {
        let problem = format!("`{lower}` stands twice in network `{network}`");
        c.mistake(p.at, &s.key("address"), problem, "take one of the two out");
    }
    Some(lower)
}

/// Reads the file of an ABI, no further than it may be long.
fn read_abi(file: &Path, at: usize, key: &str, c: &mut Collector) -> Option<Abi> {
    match text_of(file) {
        Err(e) => {
            let cure = "write the path of a JSON file, relative to this one's folder, such as \"abis/router.json\"";
            c.mistake(at, key, format!("{} cannot be read: {e}", file.display()), cure);
            None
        }
        Ok(text) => Abi::read(&text)
            .map_err(|mistakes| {
                for Mistake { path, problem, cure, .. } in mistakes {
                    c.mistake(at, key, format!("{}: {path}: {problem}", file.display()), cure);
                }
            })
            .ok(),
    }
}

fn text_of(file: &Path) -> std::io::Result<String> {
    let opened = File::open(file)?;
    // A pipe or a device would be waited for.
    if !opened.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut text = String::new();
    opened.take(limits::ABI_FILE_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn tell(mistakes: Vec<Mistake>, at: usize, key: &str, c: &mut Collector) {
    for Mistake { problem, cure, .. } in mistakes {
        c.mistake(at, key, problem, cure);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Mistake, parse};

    const ABI: &str = r#"[{"type": "event", "name": "Moved", "anonymous": false, "inputs": []}]"#;

    /// A file with these contracts beside these files.
    fn config(contracts: &str, files: &[(&str, &str)]) -> Result<Config, Vec<Mistake>> {
        let dir = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).expect("written");
        }
        let network = "[[network]]\nslug = \"a\"\nfamily = \"evm\"\nchain_id = 1\n[[network.endpoint]]\nurl = \"https://x.example\"\n";
        parse(&format!("{network}{contracts}"), dir.path(), &|_| None)
    }

    fn contract(more: &str) -> String {
        format!("[[contract]]\nnetwork = \"a\"\naddress = \"0x{:040X}\"\n{more}\n", 0xabc)
    }

    #[test]
    fn a_contract_has_what_its_files_say() {
        let text = contract("name = \" Router \"\nlabels = [\"dex\", \"dex\"]\nabi = \"router.json\"");
        let artifact = format!("{{\"abi\": {ABI}, \"bytecode\": \"0x\"}}");
        for file in [ABI, &artifact] {
            let config = config(&text, &[("router.json", file)]).expect("good");
            let [contract] = &config.contracts[..] else { panic!("{:?}", config.contracts) };
            assert_eq!(contract.address, format!("0x{:040x}", 0xabc));
            assert_eq!((contract.name.as_str(), &contract.labels[..]), ("Router", &["dex".to_owned()][..]));
            assert_eq!(contract.abi.as_ref().expect("it has one").names()[0].signature, "Moved()");
        }
        let bare = config(&contract(""), &[]).expect("good").contracts.remove(0);
        assert!(bare.name == bare.address && bare.labels.is_empty() && bare.abi.is_none());
    }

    #[test]
    fn each_mistake_has_its_line_and_its_key() {
        let twice = format!("{}{}", contract(""), contract("").replace("ABC", "abc"));
        let wrong = ABI.replace("[]", "[{\"name\": \"x\", \"type\": \"uint7\", \"indexed\": true}]");
        for (text, file, line, key, words) in [
            (contract("name = \"\""), "", 10, "contract[0].name", "is empty"),
            (contract("labels = [\"a\\tb\"]"), "", 10, "contract[0].labels", "is no label"),
            (contract("labels = \"a\""), "", 10, "contract[0].labels", "write a list"),
            (contract("abi = \"none.json\""), "", 10, "contract[0].abi", "none.json cannot be read"),
            (contract("abi = \".\""), "", 10, "contract[0].abi", "it is no file"),
            (contract("abi = \"router.json\""), "[\n{,]", 10, "contract[0].abi", "router.json: line 2, column 2"),
            (contract("abi = \"router.json\""), &wrong, 10, "contract[0].abi", "abi.0.inputs.0.type: `uint7`"),
            (contract("source = \"operator\""), "", 10, "contract[0].source", "is not known"),
            (twice, "", 13, "contract[1].address", "stands twice"),
        ] {
            let mistakes = config(&text, &[("router.json", file)]).expect_err(&text);
            let found = mistakes
                .iter()
                .any(|m| m.line == line && m.key == key && (m.problem.contains(words) || m.cure.contains(words)));
            assert!(found && mistakes.len() == 1, "{text}: {mistakes:?}");
        }
    }
}
