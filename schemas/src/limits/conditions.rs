//! What rules and monitors may say (`conditions/`).

use std::time::Duration;

/// A name, in characters.
pub const NAME_CHARACTERS: usize = 100;
/// Networks of one rule or monitor.
pub const NETWORKS: usize = 100;
/// Channels of one rule, monitor, route or escalation.
pub const CHANNELS: usize = 32;
/// Routes of one rule or monitor.
pub const ROUTES: usize = 16;
/// Words of one `group_by`.
pub const GROUP_BY: usize = 4;
/// An address, in characters: the longest that bech32 allows (BIP-173).
pub const ADDRESS_CHARACTERS: usize = 90;
/// Addresses of one monitor.
pub const ADDRESSES: usize = 1_000;
/// Conditions of one monitor, of all three kinds.
pub const CONDITIONS: usize = 100;
/// All ABIs of one monitor, as compact JSON; equal ones count once.
pub const ABI_BYTES: usize = 1 << 20;
/// Networks × addresses × conditions of one monitor: places at which the index holds it.
pub const PLACES: usize = 20_000;
/// A template's title and body, in characters.
pub const TEMPLATE_CHARACTERS: (usize, usize) = (200, 8_000);
/// What a template says once its names are filled in: one value, and the whole, in characters (UTF-16 units, as services count).
pub const FILLED_CHARACTERS: (usize, usize) = (1_024, 16_000);
/// A signature, in characters.
pub const SIGNATURE_CHARACTERS: usize = 2_048;
/// The longest of every duration that is given: how long a condition must hold, until the next firing, until escalation.
pub const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// The shortest time between two repeats, and before an escalation.
pub const SHORTEST_REPEAT: Duration = Duration::from_secs(60);
/// How far back a baseline reaches: the shortest and the longest time. It is made of whole hours.
pub const BASELINE: (Duration, Duration) = (Duration::from_secs(3_600), Duration::from_secs(7 * 86_400));
/// Blocks that a monitor may wait for.
pub const WAIT_BLOCKS: u64 = 256;
/// Blocks of one network that trailing windows hold, and contracts in them, some 250 bytes each: a day of four blocks a second.
pub const TRAILING_HELD: usize = 400_000;

// ---- Expressions.

/// Characters of one.
pub const EXPRESSION_CHARACTERS: usize = 4_096;
/// Operators, values and variables of one.
pub const EXPRESSION_NODES: usize = 512;
/// How deep brackets, `NOT` and signs may nest.
pub const EXPRESSION_DEPTH: usize = 32;
/// Values of one list behind `in`.
pub const EXPRESSION_LIST: usize = 256;
/// Names and positions behind one another in a variable: `a.b[0].c`.
pub const EXPRESSION_PATH: usize = 16;
/// Decimals of a number that is written.
pub const EXPRESSION_DECIMALS: usize = 36;
/// Steps of one evaluation: a node is one, and so are 64 bytes that are compared or searched, and each element of a list; a
/// calculation is sixteen. An evaluation that takes more ends and fits nothing.
pub const EXPRESSION_STEPS: u32 = 20_000;
/// Steps that something which fits costs beside its evaluation, where what a tenant's conditions cost a block is bounded: making a match
/// of it.
pub const MATCH_STEPS: u64 = 64;
/// Times at which a contract did something before it was watched, that a rule's windows are made of; of one with more, nothing is taken.
pub const PAST_TIMES: usize = 50_000;
/// Contracts of one network whose time before they were watched is held.
pub const PAST_CONTRACTS: usize = 32;
