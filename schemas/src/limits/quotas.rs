//! Plans, quotas, and what of use is counted.

use std::time::Duration;

/// Plans of the configuration file.
pub const PLANS: usize = 100;
/// A plan's name, in characters.
pub const PLAN_NAME_CHARACTERS: usize = 40;
/// The largest number of a plan.
pub const MOST: u64 = 1_000_000_000_000;
/// How long what a process knows of a tenant's plan is believed before it is asked again.
pub const FRESH: Duration = Duration::from_secs(5);
/// How long a look at a tenant's plan may take before its requests go on as they did.
pub const LOOK_UP: Duration = Duration::from_secs(1);
/// How often what was counted of use is written down; no more than that is lost when a process is killed.
pub const FLUSH_EVERY: Duration = Duration::from_secs(4);
/// How long a request waits for the server that counts for all processes, before it is counted by this one.
pub const SHARED_WITHIN: Duration = Duration::from_millis(100);
/// How long it may take to connect to it; requests do not wait for that.
pub const SHARED_CONNECT: Duration = Duration::from_secs(2);
/// How long a server that did not answer is left alone.
pub const SHARED_AGAIN: Duration = Duration::from_secs(1);
/// How long connections count that a process said it has; so long those of a process count that was killed.
pub const SOCKETS_LEASE: Duration = Duration::from_secs(15);
/// How often a process says that it has them still: a lease holds over two times that were missed.
pub const SOCKETS_RENEWED: Duration = Duration::from_secs(4);
/// How long `GET /usage` waits for the store before it tells the rest without it.
pub const STORE_WITHIN: Duration = Duration::from_secs(2);
/// Tenants that are written down in one transaction.
pub const FLUSH_TENANTS: usize = 200;
/// How long the number of a process's last flush is kept: longer than any flush is tried again.
pub const FLUSHES_KEPT: Duration = Duration::from_secs(2 * 86_400);
/// How long is kept what a tenant used of a day.
pub const USAGE_KEPT: Duration = Duration::from_secs(400 * 86_400);
/// How long a tenant that asks nothing is remembered by a process.
pub const IDLE: Duration = Duration::from_secs(600);
/// The share of the places for requests that one tenant may take while others ask too: one of so many.
pub const SHARE: usize = 2;
