//! Numbers that look like chance and follow from a seed: the same question has the same answer in every run, whatever was asked
//! before it.
//!
//! Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014), the finaliser of SplitMix64.

fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A seed of its own for what is called `name`.
pub(crate) fn seed_of(seed: u64, name: &str) -> u64 {
    name.bytes().fold(mix(seed), |so_far, byte| mix(so_far ^ u64::from(byte)))
}

/// Number `n` of a seed, 0 (inclusive) to 1 (exclusive), evenly distributed.
pub(crate) fn unit(seed: u64, n: u64) -> f64 {
    // The 53 highest bits: what a double holds exactly.
    (mix(mix(seed) ^ n) >> 11) as f64 / (1u64 << 53) as f64
}

/// Number `n` of a seed, normally distributed around 0 with deviation 1 (Box and Muller, 1958).
pub(crate) fn normal(seed: u64, n: u64) -> f64 {
    // Never the logarithm of 0.
    let (a, b) = (1.0 - unit(seed, 2 * n), unit(seed, 2 * n + 1));
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_from_the_seed_and_are_spread_evenly() {
        let all: Vec<f64> = (0..10_000).map(|n| unit(7, n)).collect();
        assert_eq!(all, (0..10_000).map(|n| unit(7, n)).collect::<Vec<_>>());
        assert_ne!(all[..8], (0..8).map(|n| unit(8, n)).collect::<Vec<_>>());
        for tenth in 0..10 {
            let inside = all.iter().filter(|x| (**x * 10.0) as usize == tenth).count();
            assert!((850..1_150).contains(&inside), "{tenth}: {inside}");
        }
        assert_ne!(seed_of(1, "a"), seed_of(1, "b"));
        assert_ne!(seed_of(1, "a"), seed_of(2, "a"));
    }

    #[test]
    fn the_normal_distribution_has_its_mean_and_deviation() {
        let all: Vec<f64> = (0..20_000).map(|n| normal(3, n)).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let deviation = (all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / all.len() as f64).sqrt();
        assert!(mean.abs() < 0.05 && (0.95..1.05).contains(&deviation), "{mean} {deviation}");
    }
}
