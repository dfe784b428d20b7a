//! Keccak-256 of many messages at once, one in each lane of the processor's vectors.
//!
//! A block's transactions and receipts are hashed by the hundred and do not wait for each other. The permutation is written
//! over arrays of words, one word per message; compiled for AVX-512 each array is one register, and eight messages cost little
//! more than one. On processors without it, and for what stands alone, messages are hashed one by one.
//!
//! Source: FIPS 202 (the permutation Keccak-f\[1600\]), with the original padding as in the Ethereum Yellow Paper.

use alloy_primitives::{B256, keccak256};

/// Messages that are hashed together.
const LANES: usize = 8;
/// Bytes that one permutation takes in.
const RATE: usize = 136;
/// Words of the state.
const WORDS: usize = 25;

const ROUND: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// The step ρ: by how many bits each word of the state turns.
const TURN: [u32; WORDS] =
    [0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14];

/// One word of the state of each message.
type Word = [u64; LANES];
type State = [Word; WORDS];

/// The hash of each message, in their order.
pub fn keccak256_all(messages: &[&[u8]]) -> Vec<B256> {
    let mut hashes = vec![B256::ZERO; messages.len()];
    // Messages of the same length come together, so that no lane waits for another.
    let mut order: Vec<usize> = (0..messages.len()).collect();
    order.sort_unstable_by_key(|&i| messages[i].len());
    for group in order.chunks(LANES) {
        if group.len() == 1 || !together(group, messages, &mut hashes) {
            group.iter().for_each(|&i| hashes[i] = keccak256(messages[i]));
        }
    }
    hashes
}

/// Hashes up to [`LANES`] messages at once; `false` when the processor cannot.
fn together(group: &[usize], messages: &[&[u8]], hashes: &mut [B256]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has what the function was compiled for.
        #[allow(unsafe_code)] // calling what is compiled for some processors only
        unsafe {
            avx512(group, messages, hashes);
        }
        return true;
    }
    false
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(group: &[usize], messages: &[&[u8]], hashes: &mut [B256]) {
    sponge(group, messages, hashes);
}

#[inline(always)]
fn sponge(group: &[usize], messages: &[&[u8]], hashes: &mut [B256]) {
    let mut state: State = [[0; LANES]; WORDS];
    let blocks = |i: usize| messages[i].len() / RATE + 1;
    for block in 0..group.iter().map(|&i| blocks(i)).max().unwrap_or(0) {
        for (lane, &i) in group.iter().enumerate().filter(|(_, i)| block < blocks(**i)) {
            let rest = &messages[i][block * RATE..];
            match rest.first_chunk::<RATE>() {
                Some(whole) => absorb(&mut state, lane, whole),
                None => {
                    let mut last = [0; RATE];
                    last[..rest.len()].copy_from_slice(rest);
                    last[rest.len()] = 0x01;
                    last[RATE - 1] |= 0x80;
                    absorb(&mut state, lane, &last);
                }
            }
        }
        permute(&mut state);
        for (lane, &i) in group.iter().enumerate().filter(|(_, i)| block + 1 == blocks(**i)) {
            for (bytes, word) in hashes[i].chunks_exact_mut(8).zip(&state) {
                bytes.copy_from_slice(&word[lane].to_le_bytes());
            }
        }
    }
}

#[inline(always)]
fn absorb(state: &mut State, lane: usize, block: &[u8; RATE]) {
    for (word, bytes) in state.iter_mut().zip(block.as_chunks::<8>().0) {
        word[lane] ^= u64::from_le_bytes(*bytes);
    }
}

/// A word of every message, computed lane by lane.
#[inline(always)]
fn each(word: impl Fn(usize) -> u64) -> Word {
    let mut out = [0; LANES];
    for (lane, out) in out.iter_mut().enumerate() {
        *out = word(lane);
    }
    out
}

#[inline(always)]
fn permute(state: &mut State) {
    let mut a = *state;
    for constant in ROUND {
        // θ
        let c: [Word; 5] =
            std::array::from_fn(|x| each(|l| a[x][l] ^ a[x + 5][l] ^ a[x + 10][l] ^ a[x + 15][l] ^ a[x + 20][l]));
        let d: [Word; 5] = std::array::from_fn(|x| each(|l| c[(x + 4) % 5][l] ^ c[(x + 1) % 5][l].rotate_left(1)));
        // ρ and π
        let mut b: State = [[0; LANES]; WORDS];
        for x in 0..5 {
            for y in 0..5 {
                let from = x + 5 * y;
                b[y + 5 * ((2 * x + 3 * y) % 5)] = each(|l| (a[from][l] ^ d[x][l]).rotate_left(TURN[from]));
            }
        }
        // χ
        for y in 0..5 {
            for x in 0..5 {
                let [one, two] = [1, 2].map(|n| (x + n) % 5 + 5 * y);
                a[x + 5 * y] = each(|l| b[x + 5 * y][l] ^ (!b[one][l] & b[two][l]));
            }
        }
        // ι
        a[0] = each(|l| a[0][l] ^ constant);
    }
    *state = a;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_hashes_as_alone() {
        let bytes: Vec<u8> = (0..2_000).map(|n: u32| (n * 31 % 251) as u8).collect();
        for many in [0, 1, 2, 7, 8, 9, 60] {
            for step in [0, 1, 17, RATE] {
                let messages: Vec<&[u8]> =
                    (0..many).map(|n| &bytes[n..(n + n * step + 130).min(bytes.len())]).collect();
                let alone: Vec<B256> = messages.iter().map(keccak256).collect();
                assert_eq!(keccak256_all(&messages), alone, "{many} messages, {step} bytes apart");
            }
        }
    }

    #[test]
    fn lanes_agree_without_the_processors_help() {
        let messages: Vec<&[u8]> = vec![b"", b"a", &[7; RATE - 1], &[8; RATE], &[9; 3 * RATE + 1]];
        let group: Vec<usize> = (0..messages.len()).collect();
        let mut hashes = vec![B256::ZERO; messages.len()];
        sponge(&group, &messages, &mut hashes);
        assert_eq!(hashes, messages.iter().map(keccak256).collect::<Vec<_>>());
    }
}
