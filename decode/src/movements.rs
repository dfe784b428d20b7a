//! Token movements in one shape: transfers of ERC-20, ERC-721 and ERC-1155, and what wraps and unwraps a chain's own coin.
//!
//! Guarantee: a movement is what a log says exactly. ERC-20 and ERC-721 share `Transfer(address,address,uint256)` and are told apart by
//! what is indexed: three topics and a word of data, or four topics and no data. A `Transfer` with one topic (CryptoKitties, some tokens of
//! 2017) does not tell which of the two it is, and is no movement here. `Deposit(address,uint256)` and `Withdrawal(address,uint256)` are
//! emitted by all sorts of contracts; they move a token only where the contract is one of [`WRAPPED`].

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, U256, address, keccak256};

/// Contracts that wrap the coin of a chain as WETH9 does; each address is the same contract, or nothing, on every chain.
pub const WRAPPED: [Address; 31] = [
    address!("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"), // Ethereum
    address!("4200000000000000000000000000000000000006"), // OP stack
    address!("82af49447d8a07e3bd95bd0d56f35241523fbab1"), // Arbitrum One
    address!("722e8bdd2ce80a4422e880164f2079488e115365"), // Arbitrum Nova
    address!("0d500b1d8e8ef31e21c99d1db9a6444d3adf1270"), // Polygon
    address!("4f9a0e7fd2bf6067db6994cf12e4495df938e6e9"), // Polygon zkEVM
    address!("bb4cdb9cbd36b01bd1cbaebf2de08d9173bc095c"), // BNB Smart Chain
    address!("b31f66aa3c1e785363f0875a1b74e27b85fd66c7"), // Avalanche
    address!("21be370d5312f44cb42ce377bc9b8a0cef1a4c83"), // Fantom
    address!("039e2fb66102314ce7b64ce5ce3e5183bc94ad38"), // Sonic
    address!("e91d153e0b41518a2ce8dd3d7944fa863463a97d"), // Gnosis
    address!("5c7f8a570d578ed84e63fdfa7b1ee72deae1ae23"), // Cronos
    address!("78c1b0c915c4faa5fffa6cabf0219da63d7f4cb8"), // Mantle
    address!("5555555555555555555555555555555555555555"), // Hyperliquid
    address!("5aea5775959fbc2557cc8789bc1bf90a239d9a91"), // zkSync Era
    address!("e5d7c2a44ffddf6b295a15c148167daaaf5cf34f"), // Linea
    address!("5300000000000000000000000000000000000004"), // Scroll
    address!("4300000000000000000000000000000000000004"), // Blast
    address!("a51894664a773981c6c112c43ce576f315d5b1b6"), // Taiko
    address!("0dc808adce2099a9f62aa87d9670745aba741746"), // Manta Pacific
    address!("acc15dc74880c9944775448304b263d191c6077f"), // Moonbeam
    address!("98878b06940ae243284ca214f92bb71a2b032b8a"), // Moonriver
    address!("cf664087a5bb0237a0bad6742852ec6c8d69a27a"), // Harmony
    address!("c9bdeed33cd01541e1eed10f90519d2c06fe3feb"), // Aurora
    address!("e4f05a66ec68b54a58b17c22107b02e0232cc817"), // Klaytn
    address!("a1077a294dde1b09bb078844df40758a5d0f9a27"), // PulseChain
    address!("6969696969696969696969696969696969696969"), // Berachain
    address!("fff9976782d46cc05630d1f6ebab18b2324d6b14"), // Sepolia
    address!("7b79995e5f793a07bc00c21412e50ecae098e7f9"), // Sepolia, an older one
    address!("b4fbf271143f4fbf7b91a5ded31805e42b2208d6"), // Goerli
    address!("9c3c9283d3e44854697cd22d3faa240cfb032889"), // Polygon Mumbai
];

/// What kind of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standard {
    /// Amounts (ERC-20).
    Erc20,
    /// Single things (ERC-721).
    Erc721,
    /// Amounts of things (ERC-1155).
    Erc1155,
    /// The chain's own coin, wrapped: made when it is deposited, gone when it is withdrawn.
    Wrapped,
}

impl Standard {
    /// Its word: `erc20`, `erc721`, `erc1155`, `wrapped`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Erc20 => "erc20",
            Self::Erc721 => "erc721",
            Self::Erc1155 => "erc1155",
            Self::Wrapped => "wrapped",
        }
    }
}

/// A token's movement. What is made comes from the zero address, what is destroyed goes there; so do deposits and withdrawals of a
/// wrapped coin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// What kind of token.
    pub standard: Standard,
    /// Its contract.
    pub token: Address,
    /// From whom.
    pub from: Address,
    /// To whom.
    pub to: Address,
    /// Which thing, of ERC-721 and ERC-1155.
    pub id: Option<U256>,
    /// How much, in the token's smallest unit; `None` for ERC-721, which moves one.
    pub amount: Option<U256>,
}

struct Topics {
    transfer: B256,
    single: B256,
    batch: B256,
    deposit: B256,
    withdrawal: B256,
}

static TOPICS: LazyLock<Topics> = LazyLock::new(|| Topics {
    transfer: keccak256("Transfer(address,address,uint256)"),
    single: keccak256("TransferSingle(address,address,address,uint256,uint256)"),
    batch: keccak256("TransferBatch(address,address,address,uint256[],uint256[])"),
    deposit: keccak256("Deposit(address,uint256)"),
    withdrawal: keccak256("Withdrawal(address,uint256)"),
});

/// The movements that a log of `token` tells of: none, one, or those of a batch, in its order.
#[inline]
pub fn movements<'d>(token: Address, topics: &[B256], data: &'d [u8]) -> Movements<'d> {
    find(token, topics, data).unwrap_or_default()
}

fn find<'d>(token: Address, topics: &[B256], data: &'d [u8]) -> Option<Movements<'d>> {
    let known = &*TOPICS;
    let (first, rest) = topics.split_first()?;
    let movement = |standard, from: &B256, to: &B256, id, amount| {
        Some(Movement { standard, token, from: address_of(from)?, to: address_of(to)?, id, amount })
    };
    let one = |movement| Some(Movements { one: Some(movement), batch: None });
    match (rest, data.len()) {
        ([from, to], 32) if *first == known.transfer => {
            one(movement(Standard::Erc20, from, to, None, Some(U256::try_from_be_slice(data)?))?)
        }
        ([from, to, id], 0) if *first == known.transfer => {
            one(movement(Standard::Erc721, from, to, Some(U256::from_be_bytes(id.0)), None)?)
        }
        ([operator, from, to], 64) if *first == known.single => {
            address_of(operator)?;
            let (id, amount) = data.split_at(32);
            let (id, amount) = (U256::try_from_be_slice(id)?, U256::try_from_be_slice(amount)?);
            one(movement(Standard::Erc1155, from, to, Some(id), Some(amount))?)
        }
        ([operator, from, to], _) if *first == known.batch => {
            address_of(operator)?;
            let of = movement(Standard::Erc1155, from, to, None, None)?;
            let (ids, amounts) = lists(data)?;
            Some(Movements { one: None, batch: Some(Batch { of, ids, amounts }) })
        }
        ([who], 32) if *first == known.deposit && WRAPPED.contains(&token) => {
            one(movement(Standard::Wrapped, &B256::ZERO, who, None, Some(U256::try_from_be_slice(data)?))?)
        }
        ([who], 32) if *first == known.withdrawal && WRAPPED.contains(&token) => {
            one(movement(Standard::Wrapped, who, &B256::ZERO, None, Some(U256::try_from_be_slice(data)?))?)
        }
        _ => None,
    }
}

fn address_of(word: &B256) -> Option<Address> {
    word.starts_with(&[0; 12]).then(|| Address::from_word(*word))
}

/// Two lists of as many words, in their canonical encoding.
fn lists(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let number = |at: usize| usize::try_from(U256::try_from_be_slice(data.get(at..at.checked_add(32)?)?)?).ok();
    let count = number(64)?;
    let bytes = count.checked_mul(32)?;
    let second = bytes.checked_add(96)?;
    let right = number(0)? == 64 && number(32)? == second && number(second)? == count;
    (right && data.len() == second.checked_add(32)?.checked_add(bytes)?)
        .then(|| (&data[96..second], &data[second + 32..]))
}

/// Movements of one log.
#[derive(Debug, Clone, Default)]
pub struct Movements<'d> {
    one: Option<Movement>,
    batch: Option<Batch<'d>>,
}

#[derive(Debug, Clone)]
struct Batch<'d> {
    of: Movement,
    ids: &'d [u8],
    amounts: &'d [u8],
}

impl Iterator for Movements<'_> {
    type Item = Movement;

    fn next(&mut self) -> Option<Movement> {
        if let Some(one) = self.one.take() {
            return Some(one);
        }
        let batch = self.batch.as_mut()?;
        let (id, ids) = batch.ids.split_first_chunk::<32>()?;
        let (amount, amounts) = batch.amounts.split_first_chunk::<32>()?;
        (batch.ids, batch.amounts) = (ids, amounts);
        Some(Movement { id: Some(U256::from_be_bytes(*id)), amount: Some(U256::from_be_bytes(*amount)), ..batch.of })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let n = usize::from(self.one.is_some()) + self.batch.as_ref().map_or(0, |batch| batch.ids.len() / 32);
        (n, Some(n))
    }
}

impl ExactSizeIterator for Movements<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Address = Address::repeat_byte(0xa);
    const B: Address = Address::repeat_byte(0xb);
    const T: Address = Address::repeat_byte(0x7);

    fn word(n: u64) -> [u8; 32] {
        U256::from(n).to_be_bytes()
    }

    fn all(token: Address, topics: &[B256], data: &[u8]) -> Vec<Movement> {
        let movements = movements(token, topics, data);
        let n = movements.len();
        let all: Vec<_> = movements.collect();
        assert_eq!(all.len(), n);
        all
    }

    #[test]
    fn the_three_standards_and_wrapped_coins() {
        let t = &*TOPICS;
        let (a, b) = (A.into_word(), B.into_word());
        let expected = |standard, id: Option<u64>, amount: Option<u64>| Movement {
            standard,
            token: T,
            from: A,
            to: B,
            id: id.map(U256::from),
            amount: amount.map(U256::from),
        };
        assert_eq!(all(T, &[t.transfer, a, b], &word(5)), [expected(Standard::Erc20, None, Some(5))]);
        assert_eq!(all(T, &[t.transfer, a, b, B256::from(word(6))], &[]), [expected(Standard::Erc721, Some(6), None)]);
        let single = [word(7), word(8)].concat();
        assert_eq!(all(T, &[t.single, a, a, b], &single), [expected(Standard::Erc1155, Some(7), Some(8))]);
        let batch = [64, 160, 2, 1, 2, 2, 3, 4].map(word).concat();
        let both = [expected(Standard::Erc1155, Some(1), Some(3)), expected(Standard::Erc1155, Some(2), Some(4))];
        assert_eq!(all(T, &[t.batch, a, a, b], &batch), both);
        let weth = WRAPPED[0];
        let made = all(weth, &[t.deposit, b], &word(9));
        assert_eq!((made[0].from, made[0].to, made[0].standard.as_str()), (Address::ZERO, B, "wrapped"));
        let gone = all(weth, &[t.withdrawal, a], &word(9));
        assert_eq!((gone[0].from, gone[0].to), (A, Address::ZERO));

        assert_eq!(all(T, &[t.deposit, b], &word(9)), [], "of whichever contract");
        assert_eq!(all(T, &[t.transfer], &[a.0, b.0, word(1)].concat()), [], "of which standard?");
        assert_eq!(all(T, &[t.transfer, a, b], &[]), []);
        assert_eq!(all(T, &[t.transfer, a, b, b], &word(1)), []);
        assert_eq!(all(T, &[], &word(1)), []);
        assert_eq!(all(T, &[t.transfer, B256::repeat_byte(1), b], &word(1)), [], "no address");
        for at in 0..batch.len() {
            let mut wrong = batch.clone();
            wrong[at] ^= 0x80;
            // Ids and amounts may be anything, lengths and offsets not.
            assert_eq!(all(T, &[t.batch, a, a, b], &wrong).is_empty(), !((96..160).contains(&at) || at >= 192), "{at}");
            assert_eq!(all(T, &[t.batch, a, a, b], &batch[..at]), []);
        }
    }
}
