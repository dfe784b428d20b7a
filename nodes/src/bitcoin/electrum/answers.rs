//! What answers of servers say, read strictly. Pure.
//!
//! Guarantee: hashes are computed, headers prove their work and are linked with one another; lists have no more items than were asked for,
//! or than a limit says. What does not hold is [`NodeErrorKind::Lying`] where the server contradicts its own headers, and
//! [`NodeErrorKind::Malformed`] where it cannot be read.

use schemas::{BitcoinHash, bitcoin::BitcoinChain};
use serde::{Deserialize, de::DeserializeOwned};

use super::message::words;
use crate::{
    bitcoin::header::{Header, HeaderError},
    error::NodeErrorKind,
    source::Head,
};

/// Oldest and newest version of the protocol that is spoken.
pub const VERSIONS: [&str; 2] = ["1.4", "1.6"];
/// Hex digits of a header.
const DIGITS: usize = Header::BYTES * 2;
/// Headers that one call may ask for.
pub const HEADERS_AT_MOST: usize = 2016;

/// A server's newest block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Height, as the server says.
    pub height: u64,
    /// Header.
    pub header: Header,
}

impl From<Tip> for Head {
    fn from(tip: Tip) -> Self {
        tip.header.head(tip.height)
    }
}

/// What a server says of itself (`server.features`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Features {
    /// Its chain's first block, where it says it.
    pub genesis: Option<BitcoinHash>,
    /// Its software, where it says it.
    pub software: Option<String>,
    /// Blocks of history that it keeps, where it has only some.
    pub pruning: Option<u64>,
}

/// A transaction of a script's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryItem {
    /// Its id.
    pub txid: BitcoinHash,
    /// Height of its block; 0 for one in the mempool, −1 for one there that spends another of the mempool.
    pub height: i64,
    /// Its fee in satoshi, only in the mempool.
    pub fee: Option<u64>,
}

/// Reads an answer.
fn of<T: DeserializeOwned>(json: &str) -> Result<T, NodeErrorKind> {
    serde_json::from_str(json).map_err(|e| NodeErrorKind::Malformed(format!("an answer of another form: {}", words(e))))
}

fn hash(text: &str) -> Result<BitcoinHash, NodeErrorKind> {
    text.parse::<BitcoinHash>().map_err(|e| NodeErrorKind::Malformed(words(e)))
}

/// A header's words as an error.
pub(super) fn refused(e: HeaderError) -> NodeErrorKind {
    match e {
        HeaderError::Target { .. } | HeaderError::Work { .. } => NodeErrorKind::Lying(e.to_string()),
        HeaderError::Length(_) | HeaderError::NotHex(_) => NodeErrorKind::Malformed(e.to_string()),
    }
}

fn proved(hex: &str, chain: BitcoinChain) -> Result<Header, NodeErrorKind> {
    let header = Header::from_hex(hex).map_err(refused)?;
    header.check_work(chain).map_err(refused)?;
    Ok(header)
}

/// A version of the protocol: `1.4.3` is (1, 4, 3).
pub type Version = (u16, u16, u16);

/// `server.version`: software and version.
///
/// # Errors
///
/// A version that is not spoken here, or something else.
pub fn greeting(json: &str) -> Result<(String, Version), NodeErrorKind> {
    let (software, version): (String, String) = of(json)?;
    let numbers = |text: &str| {
        let mut parts = text.split('.').map(str::parse::<u16>);
        let mut next = || parts.next().unwrap_or(Ok(0)).ok();
        Some((next()?, next()?, next()?))
    };
    let [oldest, newest] = VERSIONS.map(|version| numbers(version).unwrap_or_default());
    let spoken = numbers(&version).filter(|it| *it >= oldest && (it.0, it.1) <= (newest.0, newest.1));
    let software: String = software.chars().filter(|c| !c.is_control()).take(64).collect();
    match spoken {
        Some(version) => Ok((software, version)),
        None => {
            let version: String = version.chars().take(20).collect();
            let [oldest, newest] = VERSIONS;
            Err(NodeErrorKind::Malformed(format!(
                "it chose protocol {version}, where {oldest} to {newest} was offered"
            )))
        }
    }
}

/// `server.features`.
///
/// # Errors
///
/// It cannot be read.
pub fn features(json: &str) -> Result<Features, NodeErrorKind> {
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        genesis_hash: Option<String>,
        #[serde(default)]
        server_version: Option<String>,
        #[serde(default)]
        pruning: Option<serde_json::Value>,
    }
    let said: Said = of(json)?;
    let genesis = match said.genesis_hash {
        Some(text) => Some(hash(&text)?),
        None => None,
    };
    Ok(Features { genesis, software: said.server_version, pruning: said.pruning.and_then(|p| p.as_u64()) })
}

#[derive(Deserialize)]
struct SaidTip {
    hex: String,
    height: i64,
}

impl SaidTip {
    fn proved(self, chain: BitcoinChain) -> Result<Tip, NodeErrorKind> {
        let height = u64::try_from(self.height)
            .map_err(|_| NodeErrorKind::Malformed(format!("a tip at height {}", self.height)))?;
        Ok(Tip { height, header: proved(&self.hex, chain)? })
    }
}

/// The answer of `blockchain.headers.subscribe`.
///
/// # Errors
///
/// It cannot be read, or its header proves nothing.
pub fn tip(json: &str, chain: BitcoinChain) -> Result<Tip, NodeErrorKind> {
    of::<SaidTip>(json)?.proved(chain)
}

/// The parameters of its notifications: a list of one tip.
///
/// # Errors
///
/// As [`tip`].
pub fn tip_notice(json: &str, chain: BitcoinChain) -> Result<Tip, NodeErrorKind> {
    let [said] = of::<[SaidTip; 1]>(json)?;
    said.proved(chain)
}

/// The answer of `blockchain.block.header`, without proof.
///
/// # Errors
///
/// It cannot be read, or its header proves nothing.
pub fn header(json: &str, chain: BitcoinChain) -> Result<Header, NodeErrorKind> {
    proved(&of::<String>(json)?, chain)
}

/// The answer of `blockchain.block.headers` for `asked` of them: a text before version 1.6, a list since. They are linked with one another.
///
/// # Errors
///
/// It cannot be read, has more than was asked for, proves nothing, or is no chain.
pub fn headers(json: &str, asked: usize, chain: BitcoinChain) -> Result<Vec<Header>, NodeErrorKind> {
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        hex: Option<String>,
        #[serde(default)]
        headers: Option<Vec<String>>,
    }
    let said: Said = of(json)?;
    let texts: Vec<&str> = match (&said.headers, &said.hex) {
        (Some(list), _) => list.iter().map(String::as_str).collect(),
        (None, Some(hex)) if hex.is_ascii() && hex.len().is_multiple_of(DIGITS) => {
            hex.as_bytes().chunks(DIGITS).filter_map(|digits| std::str::from_utf8(digits).ok()).collect()
        }
        (None, Some(hex)) => return Err(NodeErrorKind::Malformed(format!("{} digits are no headers", hex.len()))),
        (None, None) => return Err(NodeErrorKind::Malformed("neither `headers` nor `hex`".into())),
    };
    if texts.len() > asked {
        return Err(NodeErrorKind::Malformed(format!("{} headers, where {asked} were asked for", texts.len())));
    }
    let headers = texts.into_iter().map(|hex| proved(hex, chain)).collect::<Result<Vec<_>, _>>()?;
    match headers.windows(2).find(|pair| matches!(pair, [parent, child] if !child.follows(parent))) {
        None => Ok(headers),
        Some(pair) => {
            let [parent, child] = pair else { return Ok(headers) };
            Err(NodeErrorKind::Lying(format!(
                "header {} comes after {}, but is no child of it",
                child.hash, parent.hash
            )))
        }
    }
}

/// The answer of `blockchain.scripthash.get_history`, at most so many entries.
///
/// # Errors
///
/// It cannot be read, or is too long.
pub fn history(json: &str, most: usize) -> Result<Vec<HistoryItem>, NodeErrorKind> {
    #[derive(Deserialize)]
    struct Said {
        tx_hash: String,
        height: i64,
        #[serde(default)]
        fee: Option<u64>,
    }
    let said: Vec<Said> = of(json)?;
    if said.len() > most {
        return Err(NodeErrorKind::TooLarge(most));
    }
    let item = |said: Said| {
        let txid = hash(&said.tx_hash)?;
        if said.height < -1 {
            return Err(NodeErrorKind::Malformed(format!("a transaction at height {}", said.height)));
        }
        Ok(HistoryItem { txid, height: said.height, fee: said.fee })
    };
    said.into_iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c";
    const SECOND: &str = "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299";
    const MAIN: BitcoinChain = BitcoinChain::Main;

    #[test]
    fn versions_from_1_4_to_1_6_are_spoken() {
        let of = |version: &str| greeting(&format!("[\"ElectrumX 1.20.0\",\"{version}\"]")).map(|(_, version)| version);
        assert_eq!(of("1.4"), Ok((1, 4, 0)));
        assert_eq!(of("1.4.3"), Ok((1, 4, 3)));
        assert_eq!(of("1.6"), Ok((1, 6, 0)));
        for other in ["1.3", "1.7", "2.0", "", "x", "0.10", "1.4.x"] {
            assert!(of(other).is_err(), "{other}");
        }
        assert!(greeting("\"1.4\"").is_err() && greeting("[]").is_err());
    }

    #[test]
    fn headers_come_as_a_text_or_as_a_list() {
        let text = format!(r#"{{"count":2,"hex":"{FIRST}{SECOND}","max":2016}}"#);
        let list = format!(r#"{{"count":2,"headers":["{FIRST}","{SECOND}"],"max":2016}}"#);
        let both = headers(&text, 2, MAIN).expect("headers");
        assert_eq!(headers(&list, 2016, MAIN), Ok(both.clone()));
        assert_eq!(both.len(), 2);
        assert!(matches!(headers(&list, 1, MAIN), Err(NodeErrorKind::Malformed(_))));
        let turned = format!(r#"{{"headers":["{SECOND}","{FIRST}"]}}"#);
        assert!(matches!(headers(&turned, 2, MAIN), Err(NodeErrorKind::Lying(_))));
        assert_eq!(headers(r#"{"count":0,"hex":"","max":2016}"#, 5, MAIN), Ok(Vec::new()));
        for wrong in ["{}", "null", r#"{"hex":"00"}"#, r#"{"headers":["00"]}"#, r#"{"hex":"äöü"}"#] {
            assert!(matches!(headers(wrong, 5, MAIN), Err(NodeErrorKind::Malformed(_))), "{wrong}");
        }
    }

    #[test]
    fn what_is_said_of_a_wrong_answer_is_short() {
        let long = "x".repeat(1 << 20);
        let answers = [format!("[\"{long}\"]"), format!(r#"[{{"hex":"00","height":"{long}"}}]"#)];
        for error in answers.iter().map(|json| tip_notice(json, MAIN).expect_err("no tip")) {
            assert!(format!("{error}").len() < 1_000);
        }
        assert!(format!("{}", hash(&long).expect_err("no hash")).len() < 1_000);
    }

    #[test]
    fn a_tip_proves_its_work() {
        let json = format!(r#"{{"hex":"{SECOND}","height":1}}"#);
        let told = tip(&json, MAIN).expect("a tip");
        assert_eq!((told.height, Head::from(told).parent.as_str()), (1, &*MAIN.genesis().to_string()));
        assert_eq!(tip_notice(&format!("[{json}]"), MAIN), Ok(told));
        let forged = format!(r#"{{"hex":"{}1e","height":1}}"#, &SECOND[..158]);
        assert!(matches!(tip(&forged, MAIN), Err(NodeErrorKind::Lying(_))));
        let below = format!(r#"{{"hex":"{SECOND}","height":-1}}"#);
        assert!(matches!(tip(&below, MAIN), Err(NodeErrorKind::Malformed(_))));
        assert!(tip_notice("[]", MAIN).is_err() && tip_notice("{}", MAIN).is_err());
    }

    #[test]
    fn histories_are_read_to_a_limit() {
        let txid = "acc3758bd2a26f869fcc67d48ff30b96464d476bca82c1cd6656e7d506816412";
        let json =
            format!(r#"[{{"height":200004,"tx_hash":"{txid}"}},{{"fee":20000,"height":-1,"tx_hash":"{txid}"}}]"#);
        let told = history(&json, 2).expect("a history");
        assert_eq!((told[0].height, told[1].fee, told[1].height), (200_004, Some(20_000), -1));
        assert_eq!(history(&json, 1), Err(NodeErrorKind::TooLarge(1)));
        assert!(history(r#"[{"height":1,"tx_hash":"00"}]"#, 2).is_err());
    }

    #[test]
    fn a_server_says_which_chain_it_is_on() {
        let said =
            format!(r#"{{"genesis_hash":"{}","pruning":null,"server_version":"x","hosts":{{}}}}"#, MAIN.genesis());
        assert_eq!(features(&said).expect("features").genesis, Some(MAIN.genesis()));
        assert_eq!(features("{}"), Ok(Features::default()));
        assert!(features(r#"{"genesis_hash":"00"}"#).is_err());
    }
}
