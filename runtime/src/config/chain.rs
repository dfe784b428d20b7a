//! Which chain a network is on, in the words of its family; and what only Bitcoin's endpoints have.

use std::path::{Path, PathBuf};

use schemas::{Family, bitcoin::BitcoinChain, profiles::Profile};
use url::Url;

use super::{
    network::{missing, read_url},
    source::{Collector, Section},
};

/// What stands for no chain where all are listed.
const FOUND_OUT: &str = "found out";

/// Which chain a network is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// Ethereum and its kin.
    Evm {
        /// EIP-155 chain id.
        chain_id: u64,
    },
    /// Bitcoin.
    Bitcoin {
        /// In Bitcoin Core's words; `None`: what most operators' nodes say is taken, and kept from then on.
        chain: Option<BitcoinChain>,
    },
}

impl Chain {
    /// Its family.
    pub const fn family(&self) -> Family {
        match self {
            Self::Evm { .. } => Family::Evm,
            Self::Bitcoin { .. } => Family::Bitcoin,
        }
    }

    /// EIP-155 chain id, where chains of the family have one.
    pub const fn evm_id(&self) -> Option<u64> {
        match self {
            Self::Evm { chain_id } => Some(*chain_id),
            Self::Bitcoin { .. } => None,
        }
    }

    /// Usual time between blocks, milliseconds; `None` where it varies or is not known.
    pub fn block_time_ms(&self) -> Option<u64> {
        match self {
            Self::Evm { chain_id } => Profile::of(*chain_id).block_time_ms,
            // One that is not known yet is taken for a public one.
            Self::Bitcoin { chain } => chain.unwrap_or(BitcoinChain::Main).block_time_ms(),
        }
    }

    /// The key that says which chain it is, and its value for people.
    pub(super) fn words(&self) -> (&'static str, String) {
        match self {
            Self::Evm { chain_id } => ("chain_id", chain_id.to_string()),
            Self::Bitcoin { chain } => ("chain", chain.map_or_else(|| FOUND_OUT.to_owned(), |c| c.to_string())),
        }
    }
}

/// `chain_id` of an EVM network, `chain` of one of Bitcoin; of a family that is not known nothing but mistakes.
pub(super) fn read(s: &mut Section, family: Option<Family>, c: &mut Collector) -> Option<Chain> {
    if family == Some(Family::Bitcoin) {
        return read_bitcoin(s, c).map(|chain| Chain::Bitcoin { chain });
    }
    if !s.has("chain_id") {
        missing(s, "chain_id", "5000", c);
    }
    let chain_id = s.number("chain_id", c);
    if let Some(p) = chain_id.as_ref().filter(|p| p.value == 0) {
        c.mistake(p.at, &s.key("chain_id"), "is 0, which no chain has", "write the chain's EIP-155 id, such as 5000");
    }
    let chain_id = chain_id?.value;
    family.filter(|family| *family == Family::Evm).map(|_| Chain::Evm { chain_id })
}

fn read_bitcoin(s: &mut Section, c: &mut Collector) -> Option<Option<BitcoinChain>> {
    if !s.has("chain") {
        return Some(None);
    }
    let p = s.string("chain", c)?;
    match p.value.parse() {
        Ok(chain) => Some(Some(chain)),
        Err(_) => {
            let cure = "write \"main\", \"test\", \"testnet4\", \"signet\" or \"regtest\", or leave it out: what most nodes say is taken";
            c.mistake(p.at, &s.key("chain"), format!("`{}` is no chain of Bitcoin", p.value), cure);
            None
        }
    }
}

/// What only endpoints of Bitcoin have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Keys {
    /// Bitcoin Core's cookie file.
    pub cookie: Option<PathBuf>,
    /// Where Bitcoin Core publishes that there is a new block.
    pub zmq: Option<Url>,
    /// SHA-256 of an Electrum server's certificate.
    pub fingerprint: Option<[u8; 32]>,
}

/// Reads them, and looks whether they fit to the URL, which stands at a place.
pub(super) fn read_endpoint(
    s: &mut Section,
    (url, at): (Option<&Url>, usize),
    folder: &Path,
    c: &mut Collector,
) -> Keys {
    let key = s.key("url");
    let electrum = url.is_some_and(|url| matches!(url.scheme(), "tcp" | "ssl"));
    let cookie = s.string("cookie", c);
    let zmq_at = s.place("zmq");
    let zmq = read_url(s, "zmq", &["tcp"], c);
    let fingerprint = s.string("fingerprint", c);
    if let Some(url) = url.filter(|_| electrum) {
        if url.port().is_none() {
            let cure =
                "write the port too, such as \"tcp://electrum.example:50001\" or \"ssl://electrum.example:50002\"";
            c.mistake(at, &key, "has no port", cure);
        }
        let more = !url.username().is_empty() || url.password().is_some() || url.query().is_some();
        if more || !matches!(url.path(), "" | "/") {
            let cure =
                "write \"tcp://HOST:PORT\" or \"ssl://HOST:PORT\": an Electrum server knows no users and no paths";
            c.mistake(at, &key, "has more than a host and a port", cure);
        }
        if s.has("headers") {
            let cure = "take it out: an Electrum server does not speak HTTP";
            c.mistake(s.place("headers"), &s.key("headers"), "is for Bitcoin Core", cure);
        }
    }
    if let Some(p) = cookie.as_ref().filter(|_| electrum) {
        c.mistake(p.at, &s.key("cookie"), "is for Bitcoin Core", "take it out: an Electrum server has no cookie");
    }
    if let (Some(p), Some(url)) = (&cookie, url)
        && (!url.username().is_empty() || url.password().is_some())
    {
        let cure = "keep one of the two: the cookie file, or user and password in the URL";
        c.mistake(p.at, &s.key("cookie"), "stands beside user and password in the URL", cure);
    }
    if electrum && zmq.is_some() {
        let cure = "take it out: an Electrum server tells of new heads by itself";
        c.mistake(zmq_at, &s.key("zmq"), "is for Bitcoin Core", cure);
    } else if let Some(zmq) = &zmq {
        let users = !zmq.username().is_empty() || zmq.password().is_some();
        if zmq.port().is_none() || users {
            let cure = "write \"tcp://HOST:PORT\", as `zmqpubhashblock` of Bitcoin Core says; ZMQ knows no users";
            c.mistake(zmq_at, &s.key("zmq"), "is no host and port", cure);
        }
    }
    let fingerprint = fingerprint.and_then(|p| {
        let secure = url.is_none_or(|url| url.scheme() == "ssl");
        if !secure {
            let cure = "write the URL with `ssl://`, or take the fingerprint out";
            c.mistake(p.at, &s.key("fingerprint"), "is for Electrum over TLS", cure);
        }
        let read = fingerprint_of(&p.value);
        if read.is_none() {
            let cure = "write the certificate's SHA-256, 64 hex digits with or without `:`, as `openssl x509 -fingerprint -sha256` prints \
                        it, or leave it out: the first one that is seen is remembered";
            c.mistake(p.at, &s.key("fingerprint"), "is no fingerprint", cure);
        }
        read
    });
    let cookie = cookie.map(|p| folder.join(p.value));
    Keys { cookie, zmq, fingerprint }
}

/// 64 hex digits, with or without `:` between the bytes.
fn fingerprint_of(text: &str) -> Option<[u8; 32]> {
    let digits: String = text.trim().chars().filter(|ch| *ch != ':').collect();
    let mut bytes = [0; 32];
    const_hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Config, Mistake, parse},
        *,
    };

    fn read(text: &str) -> Result<Config, Vec<Mistake>> {
        parse(text, Path::new("/etc/hw"), &|_| None)
    }

    const HEAD: &str = "[[network]]\nslug = \"b\"\nfamily = \"bitcoin\"\n";

    #[test]
    fn a_bitcoin_network_is_read() {
        let print = "AB:".repeat(31) + "AB";
        let text = format!(
            "{HEAD}chain = \"regtest\"\n[[network.endpoint]]\nname = \"core\"\nurl = \"http://127.0.0.1:18443\"\ncookie = \"x/.cookie\"\n\
             zmq = \"tcp://127.0.0.1:28332\"\n[[network.endpoint]]\nname = \"e\"\nurl = \"ssl://E.example:50002\"\nfingerprint = \"{print}\"\n\
             [[network.endpoint]]\nurl = \"tcp://10.0.0.7:50001\"\n"
        );
        let config = read(&text).expect("good");
        let network = &config.networks[0];
        assert_eq!(network.chain, Chain::Bitcoin { chain: Some(BitcoinChain::Regtest) });
        assert_eq!((network.family(), network.chain.evm_id()), (Family::Bitcoin, None));
        let [core, first, second] = &network.endpoints[..] else { panic!("three endpoints") };
        assert_eq!(core.cookie.as_deref(), Some(Path::new("/etc/hw/x/.cookie")));
        assert_eq!(core.zmq.as_ref().and_then(Url::port), Some(28_332));
        assert_eq!((first.fingerprint, &*first.operator), (Some([0xab; 32]), "e.example"));
        assert_eq!((&*second.name, &*second.operator), ("10.0.0.7", "10.0.0.7"));
    }

    #[test]
    fn the_chain_may_be_left_out() {
        let config = read(&format!("{HEAD}[[network.endpoint]]\nurl = \"http://u:p@127.0.0.1:8332\"\n")).expect("good");
        assert_eq!(config.networks[0].chain, Chain::Bitcoin { chain: None });
        assert_eq!(config.networks[0].chain.words(), ("chain", "found out".to_owned()));
    }

    #[test]
    fn what_does_not_fit_together_is_told() {
        let text = format!(
            "{HEAD}chain = \"mainnet\"\nchain_id = 1\nverify = \"profile\"\nevents = true\n\
             [[network.endpoint]]\nname = \"a\"\nurl = \"tcp://u@e.example/x\"\ncookie = \"c\"\nzmq = \"tcp://127.0.0.1:1\"\nfingerprint = \"zz\"\n\
             [network.endpoint.headers]\na = \"b\"\n\
             [[network.endpoint]]\nname = \"b\"\nurl = \"http://u:p@127.0.0.1:8332\"\ncookie = \"c\"\nws = \"ws://x\"\n\
             [[network.endpoint]]\nname = \"c\"\nurl = \"http://127.0.0.1:8332\"\nzmq = \"tcp://127.0.0.1\"\n"
        );
        let found = read(&text).expect_err("mistakes");
        let told: Vec<(usize, &str)> = found.iter().map(|m| (m.line, m.key.as_str())).collect();
        let expected = [
            (4, "network[0].chain"),
            (5, "network[0].chain_id"),
            (6, "network[0].verify"),
            (7, "network[0].events"),
            (10, "network[0].endpoint[0].url"),
            (10, "network[0].endpoint[0].url"),
            (11, "network[0].endpoint[0].cookie"),
            (11, "network[0].endpoint[0].cookie"),
            (12, "network[0].endpoint[0].zmq"),
            (13, "network[0].endpoint[0].fingerprint"),
            (13, "network[0].endpoint[0].fingerprint"),
            (14, "network[0].endpoint[0].headers"),
            (19, "network[0].endpoint[1].cookie"),
            (20, "network[0].endpoint[1].ws"),
            (24, "network[0].endpoint[2].zmq"),
        ];
        assert_eq!(told, expected, "{found:#?}");
    }
}
