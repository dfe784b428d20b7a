//! Limits of alerts: one section for each part. Bytes unless the name says otherwise.

use std::time::Duration;

// ---- Records.

/// The name of a rule or monitor, as records of alerts carry it.
pub const NAME_BYTES: usize = 512;
/// The evidence of an alert, as JSON.
pub const EVIDENCE_BYTES: usize = 64 << 10;
/// A person's note with an acknowledgement, in characters.
pub const NOTE_CHARACTERS: usize = 2_000;
/// Why somebody made a silence, in characters.
pub const REASON_CHARACTERS: usize = 2_000;

// ---- The life of alerts (`alerts/src/life`, `alerts/src/state`).

/// Alerts of one rule or monitor that are not over at the same time. What is more goes into one alert for all the others.
pub const OPEN_OF_SOURCE: usize = 10_000;
/// Alerts of one tenant that are not over at the same time.
pub const OPEN_OF_TENANT: usize = 50_000;
/// Matches that one alert remembers with their texts. What is more is counted.
pub const MATCHES_OF_ALERT: usize = 16;
/// Matches that one alert can tell apart, so that each is taken back once: older ones are no longer known.
pub const KNOWN_MATCHES_OF_ALERT: usize = 256;
/// Arguments of a match that is kept with its texts; longer ones are left out, and their length is told.
pub const SHOWN_ARGUMENTS_BYTES: usize = 2 << 10;
/// All values of a group's texts; a longer value is cut.
pub const GROUP_VALUE_BYTES: usize = 256;
/// How long an alert of a monitor stays open without another match before it is over, where no reorg can take it back any more.
pub const MONITOR_QUIET: Duration = Duration::from_secs(300);
/// How long what is over is kept, so that a retraction, an edit or a crossing within the cooldown finds it. At least a deep reorg's time.
pub const KEPT_AFTER_END: Duration = Duration::from_secs(3_600);
/// How long messages over a channel's cap are gathered before they are told as one summary.
pub const SUMMARY_WITHIN: Duration = Duration::from_secs(45);
/// Alerts named in one summary; the rest are counted.
pub const SUMMARY_ALERTS: usize = 20;
/// Channels that one alert is sent to, escalation included.
pub const CHANNELS_OF_ALERT: usize = 32;
/// Commands that are remembered as carried out.
pub const COMMANDS_REMEMBERED: usize = 1_000;

// ---- What is read of alerts (`store/src/query/alerts`, `api`).

/// Transitions that a list shows of each alert: the last ones.
pub const EVENTS_OF_ALERT: u32 = 100;
/// Attempts that are shown of a message: the last ones.
pub const ATTEMPTS_OF_DELIVERY: u32 = 100;
/// Recent transitions that the API holds for live clients, of all tenants, and their bytes.
pub const RECENT_EVENTS: (usize, usize) = (8_192, 32 << 20);
/// Records of `alerts.events` that are read back for a client that resumes, and for how many clients at the same time.
pub const READ_BACK: (u64, usize) = (100_000, 4);
/// How long an answer waits for a command to be carried out, before it says that it will be.
pub const COMMAND_WAIT: Duration = Duration::from_secs(3);
/// How long a command may take into the log.
pub const COMMAND_WRITE: Duration = Duration::from_secs(5);
/// Transactions that a preview of a monitor looks at, the newest, and matches that it shows.
pub const PREVIEW: (u64, usize) = (20_000, 50);
/// How long it looks, and how many look at the same time.
pub const PREVIEW_TIME: Duration = Duration::from_secs(2);
/// See there.
pub const PREVIEWS: usize = 2;
/// Looks of a preview of a rule: one at the end of each step.
pub const RULE_LOOKS: i64 = 900;
/// Lines of what the store keeps of endpoints that one of them reads: all of 27 endpoints at all looks.
pub const ENDPOINT_LINES: u32 = 50_000;
/// How many previews of rules ask the store at the same time, one of each tenant.
pub const RULE_PREVIEWS: usize = 4;
/// How long a tenant's preview of a rule waits for its preview before.
pub const RULE_PREVIEW_WAIT: Duration = Duration::from_secs(5);
/// Alerts of one answer to `/annotations`.
pub const ANNOTATIONS: u32 = 1_000;

// ---- What matches (`alerts/src/matching`).

/// Matches that one block may give to one tenant: how many, and bytes of their arguments. What is more is left out, counted and said.
pub const MATCHES_OF_EVENT: (usize, usize) = (1_000, 1 << 20);
/// Failed transactions of one network that causes and examples of evidence are taken from: the newest ones.
pub const FAILURES_OF_NETWORK: usize = 20_000;
/// Failed transactions of one network that are held until their cause comes, and bytes of their records, for monitors.
pub const FAILURES_WITHOUT_CAUSE: (usize, usize) = (10_000, 32 << 20);
/// Causes that evidence names.
pub const CAUSES_OF_EVIDENCE: usize = 5;
/// Hours of all networks and contracts of one partition that baselines are taken from.
pub const BASELINE_HOURS: usize = 100_000;
// ---- Channels and delivery (`conditions/src/channel`, `alerts/src/deliver`).

/// Messages of a channel in an hour, where it says nothing; what is over it becomes one summary.
pub const PER_HOUR: u32 = 60;
/// The most that a channel may say.
pub const PER_HOUR_MOST: u32 = 10_000;
/// A channel's URL, in characters.
pub const URL_CHARACTERS: usize = 2_048;
/// Further headers of a webhook.
pub const HEADERS: usize = 16;
/// One secret of a channel, or one header's value.
pub const SECRET_BYTES: usize = 4_096;
/// Recipients of one channel's mail.
pub const RECIPIENTS: usize = 50;
/// Arguments of a script.
pub const SCRIPT_ARGUMENTS: usize = 32;
/// The longest that a script may run.
pub const SCRIPT_DEADLINE_MOST: Duration = Duration::from_secs(30);
/// Bytes of a script's output that are kept; the rest is read and thrown away.
pub const SCRIPT_OUTPUT_BYTES: usize = 4 << 10;
/// How long a webhook's former secret goes on signing beside the new one.
pub const ROTATION: Duration = Duration::from_secs(86_400);
/// How long one attempt may take, connecting included (Standard Webhooks: 15 to 30 s).
pub const ATTEMPT_WITHIN: Duration = Duration::from_secs(20);
/// Bytes of a receiver's answer that are read; the rest is not.
pub const ANSWER_BYTES: usize = 64 << 10;
/// Characters of a receiver's words, or of a failure, in a delivery.
pub const ERROR_CHARACTERS: usize = 300;
/// How long what was sent, or failed for good, stays in the outbox, so that it can be sent again under its id.
pub const REPLAY_WITHIN: Duration = Duration::from_secs(3 * 86_400);
/// Messages of one channel that are done and can be sent again, and alerts whose threads on it are known; the oldest of more are forgotten.
pub const DONE_OF_CHANNEL: usize = 5_000;
/// The same of all channels of one process, messages only.
pub const DONE: usize = 500_000;
/// Messages of one channel that wait; the oldest of more fail, and can be replayed.
pub const WAITING_OF_CHANNEL: usize = 1_000;
/// Bytes of all messages that wait in one process; beyond it, the oldest fail, and can be replayed.
pub const WAITING_BYTES: usize = 128 << 20;
/// Attempts under way at the same time in one process, and to one destination where a service does not want them one by one.
pub const ATTEMPTS_AT_ONCE: (usize, usize) = (64, 4);
/// A message's body; a larger one is sent without matches and causes.
pub const MESSAGE_BYTES: usize = 20_000;
/// Blocks of one network of which something could not be read that rules count.
pub const INCOMPLETE_OF_NETWORK: usize = 10_000;
