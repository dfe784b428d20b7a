//! The classes of causes.

macro_rules! causes {
    ($($name:ident $word:literal $about:literal,)*) => {
        /// What kind of trouble it was. The words stand in records, rows and queries and never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Cause {
            $(#[doc = $about] $name,)*
        }

        impl Cause {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As it is written: `gas_limit`.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What it means, for people.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)* }
            }
        }
    };
}

causes! {
    Slippage "slippage" "the price moved past the bound that the caller had set",
    Deadline "deadline" "it came too late",
    Allowance "allowance" "somebody was not allowed to take so many of another's tokens, or this one",
    Balance "balance" "too few tokens",
    Funds "funds" "too little of the chain's own coin",
    Liquidity "liquidity" "a pool has too little for this",
    GasLimit "gas_limit" "the gas ran out",
    Access "access" "the caller may not do this",
    Paused "paused" "it is switched off at present",
    Reentrancy "reentrancy" "a contract was entered again while it was at work",
    Math "math" "a number too large, too small, or a division by zero",
    Bounds "bounds" "an index or a length that does not fit",
    Assert "assert" "something that a contract takes for granted did not hold: a bug",
    Signature "signature" "a signature, its signer or its nonce is wrong",
    State "state" "not now: too early, done already, or set up twice",
    Input "input" "an argument that the contract does not take",
    NotFound "not_found" "a token, order, pool or function that is not there",
    TransferFailed "transfer_failed" "tokens or coins could not be handed over inside of it",
    BadCode "bad_code" "code that cannot run, or none at all at the address",
    StaticWrite "static_write" "it tried to change something in a call that may only read",
    Oracle "oracle" "a price from outside is too old or not to be trusted",
    Limits "limits" "over a cap, or a position would become unsafe",
    Bridge "bridge" "a message of a bridge, its proof or its relay",
    Wallet "wallet" "a smart account or who pays for it refused",
    Custom "custom" "the contract gave a reason that no row of the table knows",
    Opaque "opaque" "the contract gave no reason",
    Unknown "unknown" "nothing is known but that it failed",
}

impl Cause {
    /// That with this word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.word() == word)
    }

    /// Whether it says what the trouble was: all but [`Cause::Custom`], [`Cause::Opaque`] and [`Cause::Unknown`].
    pub const fn is_classed(self) -> bool {
        !matches!(self, Self::Custom | Self::Opaque | Self::Unknown)
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
