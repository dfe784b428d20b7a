//! An endpoint's whole state, as samples and people are told it.

use schemas::records::{EndpointState, ProviderState, Share, Usage};

use super::{config::Role, sample::cut, seat::Seat};

impl Seat {
    /// Its whole state now.
    pub(super) fn snapshot(&self) -> EndpointState {
        let now = self.clock.now();
        let standing = self.gate.standing(&self.hub.observer, Role::Stream);
        let in_use = *self.hub.primary.borrow() == Some(self.index);
        let state = self.state();
        let shown = &state.shown;
        let known = shown.parts;
        let usage = Usage {
            day_calls: standing.day.calls,
            day_bytes: standing.day.bytes,
            per_day: standing.per_day,
            ..state.hour.sum(now)
        };
        let ms = |d: std::time::Duration| d.as_millis() as u64;
        EndpointState {
            url: self.config.url.clone(),
            operator: self.config.operator.clone(),
            state: shown.state,
            reason: shown.reason.as_deref().map(cut),
            since: shown.since,
            every_ms: ms(self.probe_every),
            score: known.map(|p| u32::from(p.score())),
            latency_part: known.map(|p| Share::of(p.latency)),
            success_part: known.map(|p| Share::of(p.success)),
            height_part: known.map(|p| Share::of(p.height)),
            latency_ms: shown.seen.median.map(ms),
            latency_p95_ms: shown.seen.p95.map(ms),
            success_rate: shown.seen.success().map(Share::of),
            height: state.height.map(|h| h.height),
            lag_blocks: state.height.map(|h| h.lag),
            in_use,
            in_use_since: state.in_use_since.filter(|_| in_use),
            last_error: state.last_error.as_ref().map(|(e, _)| e.clone()),
            last_error_at: state.last_error.as_ref().map(|(_, at)| *at),
            last_seen_at: state.last_seen.map(|(_, at)| at),
            priority: u32::from(self.config.priority),
            roles: self.config.roles.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(" "),
            limit_per_1000_s: standing.rate.map(|r| (r * 1_000.0).round() as u64),
            usage,
            lie: state.quarantine.lie().filter(|_| shown.state == ProviderState::Quarantined).cloned(),
            link: state.link.clone(),
        }
    }
}
