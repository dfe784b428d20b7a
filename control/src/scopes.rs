//! What a key may do: scopes such as `contracts:write`. Pure.

use std::fmt;

/// What can be read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Resource {
    /// Blocks, transactions, metrics, endpoints, SQL-like reads.
    Chains,
    /// Contracts.
    Contracts,
    /// Alert rules.
    Rules,
    /// Monitors.
    Monitors,
    /// Where alerts go.
    Channels,
    /// Silences.
    Silences,
    /// Alerts.
    Alerts,
    /// Deliveries of alerts.
    Deliveries,
    /// Back-tests.
    Backtests,
    /// Keys.
    Keys,
    /// People.
    Members,
    /// What was used of quotas.
    Usage,
    /// The audit.
    Audit,
    /// The organisation itself.
    Organisation,
}

impl Resource {
    /// All, in the order of the documents.
    pub const ALL: [Self; 14] = [
        Self::Chains,
        Self::Contracts,
        Self::Rules,
        Self::Monitors,
        Self::Channels,
        Self::Silences,
        Self::Alerts,
        Self::Deliveries,
        Self::Backtests,
        Self::Keys,
        Self::Members,
        Self::Usage,
        Self::Audit,
        Self::Organisation,
    ];

    /// The word in a scope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chains => "chains",
            Self::Contracts => "contracts",
            Self::Rules => "rules",
            Self::Monitors => "monitors",
            Self::Channels => "channels",
            Self::Silences => "silences",
            Self::Alerts => "alerts",
            Self::Deliveries => "deliveries",
            Self::Backtests => "backtests",
            Self::Keys => "keys",
            Self::Members => "members",
            Self::Usage => "usage",
            Self::Audit => "audit",
            Self::Organisation => "organisation",
        }
    }
}

/// What can be done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Allowed {
    /// Look.
    Read,
    /// Change. It does not imply to read.
    Write,
}

impl Allowed {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A set of scopes. `*:read` and `*:*` hold for resources of later versions too, so they are more than all that are named today.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u32);

/// `*:read`, and the other half of `*:*`.
const EVERY_READ: u32 = 1 << 30;
const EVERY_WRITE: u32 = 1 << 31;

const fn bit(resource: Resource, action: Allowed) -> u32 {
    1 << (2 * resource as u32 + matches!(action, Allowed::Write) as u32)
}

/// Every bit of an action.
fn every(action: Allowed) -> u32 {
    let star = if action == Allowed::Read { EVERY_READ } else { EVERY_WRITE };
    Resource::ALL.into_iter().fold(star, |bits, r| bits | bit(r, action))
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a scope; {cure}")]
pub struct WrongScope {
    /// The text.
    pub text: String,
    /// What to write.
    pub cure: String,
}

impl Scopes {
    /// `*:*`.
    pub const ALL: Self = Self(!(0b11 << 28));

    /// Reads a list such as `["contracts:read", "*:read"]`.
    ///
    /// # Errors
    /// The first that is none, and what to write.
    pub fn read<T: AsRef<str>>(list: &[T]) -> Result<Self, WrongScope> {
        list.iter().try_fold(Self::default(), |Self(bits), text| Ok(Self(bits | read_one(text.as_ref())?)))
    }

    /// These, and no others.
    pub(crate) fn of(list: &[(Resource, Allowed)]) -> Self {
        Self(list.iter().fold(0, |bits, (resource, action)| bits | bit(*resource, *action)))
    }

    /// Whether this may be done.
    pub fn allows(self, resource: Resource, action: Allowed) -> bool {
        self.0 & bit(resource, action) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What both have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What `maker` has not; empty where a key with these scopes does no more than it.
    pub fn beyond(self, maker: Self) -> Vec<String> {
        if self == Self::ALL && maker != Self::ALL {
            return vec!["*:*".to_owned()];
        }
        Self(self.0 & !maker.0).texts()
    }

    /// As they are written, the shortest way.
    pub fn texts(self) -> Vec<String> {
        let mut left = self.0;
        let mut texts = Vec::new();
        if self.0 & Self::ALL.0 == Self::ALL.0 {
            return vec!["*:*".to_owned()];
        }
        if left & EVERY_READ != 0 {
            texts.push("*:read".to_owned());
            left &= !every(Allowed::Read);
        }
        for resource in Resource::ALL {
            for action in [Allowed::Read, Allowed::Write] {
                if left & bit(resource, action) != 0 {
                    texts.push(format!("{}:{}", resource.as_str(), action.as_str()));
                }
            }
        }
        if left & EVERY_WRITE != 0 && texts.is_empty() {
            texts.push("*:*".to_owned());
        }
        texts
    }
}

fn read_one(text: &str) -> Result<u32, WrongScope> {
    let wrong = |cure: String| Err(WrongScope { text: text.chars().take(80).collect(), cure });
    match text {
        "*:*" => return Ok(Scopes::ALL.0),
        "*:read" => return Ok(every(Allowed::Read)),
        "*:write" => return wrong("write `*:*`: who may change everything may see it too".to_owned()),
        _ => {}
    }
    let words = || Resource::ALL.map(Resource::as_str).join(", ");
    let Some((resource, action)) = text.split_once(':') else {
        return wrong("write RESOURCE:ACTION, such as `contracts:read`, or `*:read`, or `*:*`".to_owned());
    };
    let Some(resource) = Resource::ALL.into_iter().find(|r| r.as_str() == resource) else {
        let near =
            Resource::ALL.map(Resource::as_str).into_iter().find(|r| strsim::damerau_levenshtein(r, resource) <= 2);
        let near = near.map(|r| format!("did you mean `{r}`? ")).unwrap_or_default();
        return wrong(format!("{near}resources: {}", words()));
    };
    match action {
        "read" => Ok(bit(resource, Allowed::Read)),
        "write" => Ok(bit(resource, Allowed::Write)),
        _ => wrong(format!("write `{0}:read` or `{0}:write`", resource.as_str())),
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.texts()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all_texts() -> Vec<String> {
        let mut all: Vec<String> = Resource::ALL
            .into_iter()
            .flat_map(|r| [Allowed::Read, Allowed::Write].map(|a| format!("{}:{}", r.as_str(), a.as_str())))
            .collect();
        all.extend(["*:read".to_owned(), "*:*".to_owned()]);
        all
    }

    #[test]
    fn each_scope_allows_what_it_says_and_nothing_else() {
        for text in all_texts() {
            let scopes = Scopes::read(&[&text]).unwrap();
            for resource in Resource::ALL {
                for action in [Allowed::Read, Allowed::Write] {
                    let want = text == "*:*"
                        || text == "*:read" && action == Allowed::Read
                        || text == format!("{}:{}", resource.as_str(), action.as_str());
                    assert_eq!(scopes.allows(resource, action), want, "{text}: {resource:?} {action:?}");
                }
            }
            assert_eq!(scopes.texts(), [text]);
        }
        assert_eq!(Scopes::ALL, Scopes::read(&["*:*"]).unwrap());
    }

    #[test]
    fn everything_named_is_less_than_everything() {
        let named: Vec<String> = all_texts().into_iter().filter(|t| !t.starts_with('*')).collect();
        let named = Scopes::read(&named).unwrap();
        assert!(named.beyond(Scopes::ALL).is_empty());
        assert_eq!(Scopes::ALL.beyond(named), ["*:*"]);
    }

    #[test]
    fn what_is_no_scope_says_what_to_write() {
        for (wrong, words) in [
            ("contract:read", "did you mean `contracts`?"),
            ("contracts:delete", "`contracts:read` or `contracts:write`"),
            ("contracts", "RESOURCE:ACTION"),
            ("*:write", "`*:*`"),
            ("", "RESOURCE:ACTION"),
            ("Contracts:read", "contracts"),
            ("contracts:*", "`contracts:read` or `contracts:write`"),
        ] {
            let e = Scopes::read(&[wrong]).unwrap_err();
            assert!(e.to_string().contains(words), "{e}");
        }
    }

    proptest! {
        #[test]
        fn never_more_than_the_maker(a in prop::collection::vec(0usize..30, 0..12), b in prop::collection::vec(0usize..30, 0..12)) {
            let all = all_texts();
            let read = |list: &[usize]| Scopes::read(&list.iter().map(|i| &all[*i]).collect::<Vec<_>>()).unwrap();
            let (key, maker) = (read(&a), read(&b));
            let both = key.and(maker);
            prop_assert!(both.beyond(maker).is_empty() && both.beyond(key).is_empty());
            prop_assert_eq!(key.beyond(maker).is_empty(), both == key);
            prop_assert_eq!(Scopes::read(&key.texts()).unwrap(), key);
            for resource in Resource::ALL {
                for action in [Allowed::Read, Allowed::Write] {
                    prop_assert_eq!(both.allows(resource, action), key.allows(resource, action) && maker.allows(resource, action));
                }
            }
        }
    }
}
