//! Random expressions against a slow evaluator that shares nothing with the crate: a tree is made, written as text with as few brackets as
//! the grammar needs (and some more), read back, and evaluated both ways. Numbers of the reference are fractions of big integers.
//!
//! `HEADWATER_SEED` names the seed, `HEADWATER_EXPRESSIONS` how many (20,000).

mod slow;
mod text;
mod tree;

use conditions::{
    Expression,
    expression::{Arguments, Fault, Scope},
};
use fastrand::Rng;
use slow::{NoAnswer, Slowly};
use text::show;
use tree::{World, parameters, truth};

#[test]
fn random_expressions_are_what_a_slow_evaluator_says() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = variable("HEADWATER_SEED").unwrap_or_else(|| fastrand::u64(..));
    let count = variable("HEADWATER_EXPRESSIONS").unwrap_or(20_000);
    eprintln!("HEADWATER_SEED={seed}");
    let parameters = parameters();
    let (mut answers, mut faults, mut yes) = (0u64, 0u64, 0u64);
    for at in 0..count {
        let mut rng = Rng::with_seed(seed.wrapping_add(at));
        let world = World::random(&mut rng);
        let tree = truth(&mut rng, &world, 3);
        let text = show(&mut rng, &tree, 1);
        if text.chars().count() > 4_000 {
            continue;
        }
        let expression = match Expression::parse(&text, Scope::Parameters(&parameters)) {
            Ok(expression) => expression,
            Err(e) if e.problem.contains("parts that an expression may have") => continue,
            Err(e) => panic!("seed {seed} + {at}: {text}: {e:?}"),
        };
        let json = world.json();
        let fits = expression.fits(&Arguments::of(&json, &parameters));
        let mut slowly = Slowly { world: &world, may_leave: false };
        let expected = slowly.truth(&tree);
        match (fits, expected) {
            (Ok(fits), Ok(expected)) => {
                assert_eq!(fits, expected, "seed {seed} + {at}: {text}\n{json}");
                answers += 1;
                yes += u64::from(fits);
            }
            (Err(Fault::Number), Err(NoAnswer)) => faults += 1,
            (Err(Fault::Number), Ok(_)) if slowly.may_leave => faults += 1,
            (fits, expected) => panic!("seed {seed} + {at}: {text}\n{json}\n{fits:?}, slowly {expected:?}"),
        }
    }
    eprintln!("{answers} answers ({yes} of them yes), {faults} without one");
    assert!(answers * 10 > (answers + faults) * 8 && yes * 10 > answers * 2 && yes * 10 < answers * 8);
}

#[test]
fn whatever_is_written_is_read_or_refused_inside_of_the_text() {
    let mut rng = Rng::new();
    let seed = rng.get_seed();
    eprintln!("seed {seed}");
    let parameters = parameters();
    let words = [
        "a",
        "value",
        "list",
        "names",
        "name",
        "ok",
        "data",
        "==",
        "!=",
        ">",
        "<=",
        "(",
        ")",
        "[",
        "]",
        ",",
        "AND",
        "OR",
        "NOT",
        "in",
        "contains",
        "starts_with",
        "'",
        "\"",
        "5",
        "0x",
        "0xff",
        "1.5",
        "ether",
        "1e9",
        ".",
        "-",
        "+",
        "*",
        "/",
        "%",
        " ",
        "ä",
        "🦀",
        "\\",
        "true",
        "[0]",
        ".word",
        "999999999999999999999999999999",
        "e",
        "_",
        "\u{0}",
        "!",
        "&&",
    ];
    for _ in 0..20_000 {
        let text: String = match rng.bool() {
            true => (0..rng.usize(..20))
                .map(|_| words[rng.usize(..words.len())])
                .collect::<Vec<_>>()
                .join(if rng.bool() { " " } else { "" }),
            false => {
                let world = World::random(&mut rng);
                let tree = truth(&mut rng, &world, 2);
                let mut chars: Vec<char> = show(&mut rng, &tree, 1).chars().collect();
                for _ in 0..rng.usize(1..4) {
                    let at = rng.usize(..=chars.len());
                    match rng.u8(..3) {
                        0 if at < chars.len() => drop(chars.remove(at)),
                        1 => words[rng.usize(..words.len())].chars().for_each(|c| chars.insert(at, c)),
                        _ => chars.truncate(at.max(1)),
                    }
                }
                chars.into_iter().collect()
            }
        };
        let world = World::random(&mut rng);
        match Expression::parse(&text, Scope::Parameters(&parameters)) {
            Ok(expression) => drop(expression.fits(&Arguments::of(&world.json(), &parameters))),
            Err(wrong) => {
                assert!(wrong.position <= text.chars().count(), "{text:?}: {wrong:?}");
                assert!(!wrong.problem.is_empty() && !wrong.cure.is_empty(), "{text:?}: {wrong:?}");
            }
        }
    }
}
