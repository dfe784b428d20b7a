//! Which transactions a subscription wants. Pure.
//!
//! Guarantee: it says of a transaction what `GET /txs` says with the same parameters, of live frames and of replayed ones. Blocks and
//! what left the chain know no filter: whoever was sent a transaction is told when its block is undone.

use alloy_primitives::{Address, Selector};
use schemas::{Network, Status, TimeMs, records::CauseEvidence};
use serde::{Serialize, Serializer};

use crate::{
    error::ApiError,
    filters::{self, CAUSE},
    live::{LiveWindow, Mark},
    params::{self, ADDRESS},
};

/// What all must hold of a transaction; what is `None` is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Filter {
    /// Sent to this contract, creating it, or with a log from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<Account>,
    /// The same for an address, or sent by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Account>,
    /// With this outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Failed for this cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Failed for a cause that was found so.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "word")]
    pub found_by: Option<CauseEvidence>,
    /// Calling one of these functions: selectors. Empty: whatever they call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Selector>,
    /// Of the contract's windows those that begin at this time or later; `None`: none.
    #[serde(skip)]
    pub windows_from: Option<TimeMs>,
}

/// An address, in the form that is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Account {
    text: String,
    /// `None`: it is of no EVM chain.
    #[serde(skip)]
    evm: Option<Address>,
}

impl Account {
    /// In the form that is stored.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn read(text: &str) -> Option<Self> {
        let text = params::address(text)?;
        let evm = text.parse().ok();
        Some(Self { text, evm })
    }
}

impl Filter {
    /// From what a client wrote; `method` comes later, since it may take a look-up.
    ///
    /// # Errors
    /// A value is none, with what to write.
    pub fn read(
        contract: Option<&str>,
        address: Option<&str>,
        status: Option<&str>,
        (cause, found_by): (Option<&str>, Option<&str>),
    ) -> Result<Self, ApiError> {
        Ok(Self {
            contract: read("contract", contract, ADDRESS, Account::read)?,
            address: read("address", address, ADDRESS, Account::read)?,
            status: read("status", status, "success, failed or unknown", |text| text.parse().ok())?,
            cause: read("cause", cause, CAUSE, params::cause)?,
            found_by: filters::found_by(found_by)?,
            methods: Vec::new(),
            windows_from: None,
        })
    }

    /// Whether it asks for a contract, and for nothing else.
    pub fn is_of_contract_alone(&self) -> bool {
        self.contract.is_some() && Self { contract: None, ..self.clone() }.is_empty()
    }

    /// Whether a window is wanted, of this network or of all: without a contract those of networks alone, else those of that contract that
    /// whoever asks is told of.
    pub fn takes_window(&self, network: Option<&Network>, window: &LiveWindow) -> bool {
        match (&self.contract, &window.contract) {
            _ if network.is_some_and(|network| *network != window.network) => false,
            (None, None) => true,
            (Some(account), Some(contract)) => {
                account.evm.as_ref() == Some(contract) && self.windows_from.is_some_and(|from| from <= window.start)
            }
            _ => false,
        }
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a transaction is wanted.
    pub fn matches(&self, mark: &Mark) -> bool {
        let touches = |account: &Account| match account.evm {
            Some(address) => mark.touched.contains(&address),
            None => mark.accounts.iter().any(|address| **address == *account.text),
        };
        let is_from = |account: &Account| account.evm.is_some() && account.evm == mark.from;
        self.contract.as_ref().is_none_or(touches)
            && self.address.as_ref().is_none_or(|account| is_from(account) || touches(account))
            && self.status.is_none_or(|status| mark.status == status)
            && self.cause.as_ref().is_none_or(|cause| mark.cause.as_deref().is_some_and(|told| is(told, cause)))
            && self.found_by.is_none_or(|found_by| mark.found_by == Some(found_by))
            && (self.methods.is_empty() || mark.method.is_some_and(|method| self.methods.contains(&method)))
    }
}

/// Whether a row's cause is the one that is asked for, by whichever of its names.
fn is(told: &str, cause: &str) -> bool {
    told == cause || filters::written(cause).iter().any(|word| word == told)
}

fn word<S: Serializer>(found_by: &Option<CauseEvidence>, to: S) -> Result<S::Ok, S::Error> {
    found_by.map(CauseEvidence::as_str).serialize(to)
}

fn read<T>(
    parameter: &str,
    text: Option<&str>,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    text.map(|text| parse(text).ok_or_else(|| ApiError::invalid(parameter, text, expected))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: &str = "0x00000000000000000000000000000000000000aa";
    const TOKEN: &str = "0x00000000000000000000000000000000000000BB";

    fn mark() -> Mark {
        Mark {
            from: SENDER.parse().ok(),
            touched: [TOKEN.parse().expect("an address")].into(),
            accounts: Box::default(),
            status: Status::Failed,
            cause: Some("out_of_gas".into()),
            found_by: Some(CauseEvidence::Trace),
            method: Some(Selector::new([0xa9, 0x05, 0x9c, 0xbb])),
        }
    }

    fn of(methods: &[&str]) -> Filter {
        let methods = methods.iter().map(|method| method.parse().expect("a selector")).collect();
        Filter { methods, ..Filter::default() }
    }

    #[test]
    fn all_that_is_asked_must_hold() {
        let read =
            |contract, address, status, cause| Filter::read(contract, address, status, (cause, None)).expect("good");
        assert!(Filter::default().is_empty() && Filter::default().matches(&mark()));
        for (filter, matches) in [
            (read(Some(TOKEN), None, None, None), true),
            (read(Some(SENDER), None, None, None), false),
            (read(None, Some(SENDER), None, None), true),
            (read(None, Some(TOKEN), None, None), true),
            (read(None, Some("rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe"), None, None), false),
            (read(None, None, Some("failed"), None), true),
            (read(None, None, Some("success"), None), false),
            (read(None, None, None, Some("out_of_gas")), true),
            (read(None, None, None, Some("gas_limit")), true),
            (read(None, None, None, Some("revert")), false),
            (Filter::read(None, None, None, (None, Some("trace"))).expect("good"), true),
            (Filter::read(None, None, None, (Some("gas_limit"), Some("call"))).expect("good"), false),
            (read(Some(TOKEN), Some(SENDER), Some("failed"), Some("out_of_gas")), true),
            (read(Some(TOKEN), Some(SENDER), Some("unknown"), Some("out_of_gas")), false),
            (of(&["0x12345678", "0xa9059cbb"]), true),
            (of(&["0x12345678"]), false),
        ] {
            assert_eq!(filter.matches(&mark()), matches, "{filter:?}");
        }
        let coin = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
        let of_coins = Mark { accounts: [coin.into()].into(), touched: Box::default(), from: None, ..mark() };
        assert!(read(None, Some(coin), None, None).matches(&of_coins));
        assert!(read(Some(coin), None, None, None).matches(&of_coins));
        assert!(
            !read(None, Some(TOKEN), None, None).matches(&of_coins)
                && !read(None, Some(coin), None, None).matches(&mark())
        );
        let plain = Mark { method: None, cause: None, found_by: None, ..mark() };
        assert!(!of(&["0x00000000"]).matches(&plain));
        let told =
            serde_json::to_value(Filter { contract: Account::read(TOKEN), ..of(&["0xa9059cbb"]) }).expect("JSON");
        assert_eq!(told, serde_json::json!({"contract": TOKEN.to_lowercase(), "methods": ["0xa9059cbb"]}));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (parameter, filter) in [
            ("contract", Filter::read(Some("0x12"), None, None, (None, None))),
            ("address", Filter::read(None, Some(""), None, (None, None))),
            ("status", Filter::read(None, None, Some("Failed"), (None, None))),
            ("cause", Filter::read(None, None, None, (Some("out of gas"), None))),
            ("found_by", Filter::read(None, None, None, (None, Some("guess")))),
        ] {
            let problem = filter.expect_err(parameter).problem();
            assert_eq!(problem.parameter.as_deref(), Some(parameter));
            assert!(problem.expected.is_some_and(|expected| !expected.is_empty()));
        }
    }
}
