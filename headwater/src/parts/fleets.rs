//! What the fleets of endpoints are told, out of the configuration file: the same for every stage that asks nodes.

use std::{path::Path, time::Duration};

use ingest::config::Chain;
use nodes::fleet::{Account, FleetConfig, Limits, MemberConfig};
use runtime::config::{self, Endpoint, Network, Providers};

/// The endpoints of a network, in the order of the file.
pub fn members(network: &Network) -> Vec<MemberConfig> {
    network.endpoints.iter().map(member).collect()
}

fn member(e: &Endpoint) -> MemberConfig {
    // Who has the same URL and credentials has the same limits, whatever it is called and on whichever network.
    let headers = e.headers.iter().flat_map(|(name, value)| [name.as_str(), value.expose()]);
    MemberConfig {
        name: e.name.clone(),
        url: nodes::mask::masked_url(&e.url),
        account: Account::of([e.url.as_str()].into_iter().chain(headers)),
        place: Account::of([e.url.as_str()]),
        operator: e.operator.clone(),
        roles: e.roles.clone(),
        priority: e.priority,
        limit: e.limit.map(config::Rate::per_second),
        per_day: e.per_day,
    }
}

/// Folder of the data directory in which certificates of Electrum servers that were seen first are remembered.
const CERTIFICATES: &str = "electrum-certificates";

/// The chain of a network and its endpoints, as ingest is told.
pub fn chain(network: &Network, data_dir: &Path) -> Chain {
    match network.chain {
        config::Chain::Evm { chain_id } => {
            Chain::Evm { chain_id, endpoints: network.endpoints.iter().map(endpoint).collect() }
        }
        config::Chain::Bitcoin { chain } => {
            let endpoints = network.endpoints.iter().map(|e| bitcoin_endpoint(e, data_dir)).collect();
            Chain::Bitcoin { chain, endpoints }
        }
    }
}

/// An endpoint of a Bitcoin network, as its client is told.
pub fn bitcoin_endpoint(e: &Endpoint, data_dir: &Path) -> nodes::bitcoin::Endpoint {
    nodes::bitcoin::Endpoint {
        name: e.name.clone(),
        url: e.url.clone(),
        headers: headers(e),
        cookie: e.cookie.clone(),
        zmq: e.zmq.clone(),
        fingerprint: e.fingerprint,
        certificates: Some(data_dir.join(CERTIFICATES)),
    }
}

fn headers(e: &Endpoint) -> Vec<(String, String)> {
    e.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect()
}

/// An endpoint of an EVM network, as its client is told.
pub fn endpoint(e: &Endpoint) -> nodes::evm::Endpoint {
    nodes::evm::Endpoint { name: e.name.clone(), url: e.url.clone(), ws: e.ws.clone(), headers: headers(e) }
}

/// How a network's endpoints are looked after. `limits` are those of all fleets of the process.
pub fn fleet(providers: &Providers, network: &Network, limits: &Limits) -> FleetConfig {
    FleetConfig {
        probe_every: providers.probe_every,
        hedge: providers.hedge,
        quarantine: providers.quarantine,
        block_time: network.chain.block_time_ms().map(Duration::from_millis),
        limits: limits.clone(),
        ..FleetConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nodes::fleet::Role;

    use super::*;

    const FILE: &str = r#"
[providers]
probe_every = "5s"
[[network]]
slug = "a"
family = "evm"
chain_id = 10
[[network.endpoint]]
name = "one"
url = "https://user:secret99@rpc.example.org/v2/abcdef0123456789abcdef"
roles = ["stream"]
limit = "300/min"
per_day = 1000
[[network]]
slug = "b"
family = "evm"
chain_id = 10
[[network.endpoint]]
name = "two"
url = "https://user:secret99@rpc.example.org/v2/abcdef0123456789abcdef"
[[network.endpoint]]
name = "three"
url = "https://user:secret99@rpc.example.org/v2/abcdef0123456789abcdef"
[network.endpoint.headers]
authorization = "Bearer other"
"#;

    #[test]
    fn what_the_file_says_reaches_the_fleets() {
        let config = config::parse(FILE, Path::new(""), &|_| None).expect("no mistake");
        let [a, b] = &config.networks[..] else { panic!("two networks") };
        let one = &members(a)[0];
        assert_eq!(
            (one.operator.as_str(), &one.roles[..], one.limit, one.per_day),
            ("example.org", &[Role::Stream][..], Some(5.0), Some(1_000))
        );
        let [two, three] = &members(b)[..] else { panic!("two endpoints") };
        assert_eq!(two.roles, Role::ALL);
        assert!(one.account == two.account && two.account != three.account, "one plan, one limit");
        let shown = format!("{one:?}{two:?}{three:?}");
        for secret in ["secret99", "abcdef0123", "other"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        let fleet = fleet(&config.providers, a, &Limits::default());
        assert_eq!((fleet.probe_every.as_secs(), fleet.quarantine.as_secs(), fleet.hedge), (5, 600, false));
        assert_eq!(fleet.block_time, Some(Duration::from_secs(2)));
    }
}
