//! `provider_sample_rows`, `provider_minute_rows` and `endpoint_rows`: what stages saw of chain nodes.

use schemas::records::{CallSample, EndpointState, MinuteSample, ProviderSample, Share};

use super::native::{Nullable, Numbers, Strings, Times, Values, Words, columns};

columns! {
    /// `provider_sample_rows`; columns as there.
    ProviderSampleColumns of "provider_sample_rows" {
        network: Words,
        endpoint: Words,
        at: Times,
        observer: Words,
        method: Words,
        probe: Numbers<u8>,
        latency_ms: Numbers<u64>,
        outcome: Words,
        height: Nullable<Numbers<u64>>,
        error: Strings,
        bytes: Numbers<u64>,
    }
}

columns! {
    /// `provider_minute_rows`; columns as there.
    ProviderMinuteColumns of "provider_minute_rows" {
        network: Words,
        endpoint: Words,
        at: Times,
        observer: Words,
        method: Words,
        calls: Numbers<u64>,
        failures: Numbers<u64>,
        latency_p50_ms: Nullable<Numbers<u64>>,
        latency_p95_ms: Nullable<Numbers<u64>>,
        bytes: Numbers<u64>,
    }
}

columns! {
    /// `endpoint_rows`; columns as there.
    EndpointColumns of "endpoint_rows" {
        network: Words,
        endpoint: Words,
        observer: Words,
        at: Times,
        url: Strings,
        operator: Words,
        state: Words,
        reason: Strings,
        since: Times,
        every_ms: Numbers<u64>,
        score: Nullable<Numbers<u32>>,
        latency_part: Nullable<Numbers<u32>>,
        success_part: Nullable<Numbers<u32>>,
        height_part: Nullable<Numbers<u32>>,
        latency_ms: Nullable<Numbers<u64>>,
        latency_p95_ms: Nullable<Numbers<u64>>,
        success_rate: Nullable<Numbers<u32>>,
        height: Nullable<Numbers<u64>>,
        lag_blocks: Nullable<Numbers<u64>>,
        in_use: Numbers<u8>,
        in_use_since: Nullable<Times>,
        last_error: Strings,
        last_error_at: Nullable<Times>,
        last_seen_at: Nullable<Times>,
        priority: Numbers<u32>,
        roles: Strings,
        limit_per_1000_s: Nullable<Numbers<u64>>,
        hour_calls: Numbers<u64>,
        hour_bytes: Numbers<u64>,
        hour_blocks: Numbers<u64>,
        day_calls: Numbers<u64>,
        day_bytes: Numbers<u64>,
        per_day: Nullable<Numbers<u64>>,
        lie_at: Nullable<Times>,
        lie_found_by: Strings,
        lie_said: Strings,
        lie_right: Strings,
        protocol: Words,
        software: Strings,
        sockets: Nullable<Numbers<u32>>,
        in_flight: Nullable<Numbers<u32>>,
    }
}

/// A text that may be missing, as bytes: empty stands for none.
fn text(text: Option<&str>) -> &[u8] {
    text.unwrap_or_default().as_bytes()
}

impl ProviderSampleColumns {
    /// The row of a call.
    pub fn push(&mut self, sample: &ProviderSample, call: &CallSample) {
        self.network.push(sample.network.as_str());
        self.endpoint.push(&sample.endpoint);
        self.at.push(sample.at);
        self.observer.push(&sample.observer);
        self.method.push(&call.method);
        self.probe.push(u8::from(call.probe));
        self.latency_ms.push(call.latency_ms);
        self.outcome.push(call.outcome.as_str());
        self.height.push(call.height);
        self.error.push(text(call.error.as_deref()));
        self.bytes.push(call.bytes);
    }
}

impl ProviderMinuteColumns {
    /// The row of a minute.
    pub fn push(&mut self, sample: &ProviderSample, minute: &MinuteSample) {
        self.network.push(sample.network.as_str());
        self.endpoint.push(&sample.endpoint);
        self.at.push(sample.at);
        self.observer.push(&sample.observer);
        self.method.push(&minute.method);
        self.calls.push(minute.calls);
        self.failures.push(minute.failures);
        self.latency_p50_ms.push(minute.latency_p50_ms);
        self.latency_p95_ms.push(minute.latency_p95_ms);
        self.bytes.push(minute.bytes);
    }
}

impl EndpointColumns {
    /// The row of a state.
    pub fn push(&mut self, sample: &ProviderSample, state: &EndpointState) {
        self.network.push(sample.network.as_str());
        self.endpoint.push(&sample.endpoint);
        self.observer.push(&sample.observer);
        self.at.push(sample.at);
        self.url.push(state.url.as_bytes());
        self.operator.push(&state.operator);
        self.state.push(state.state.as_str());
        self.reason.push(text(state.reason.as_deref()));
        self.since.push(state.since);
        self.every_ms.push(state.every_ms);
        self.score.push(state.score);
        self.latency_part.push(state.latency_part.map(Share::ppm));
        self.success_part.push(state.success_part.map(Share::ppm));
        self.height_part.push(state.height_part.map(Share::ppm));
        self.latency_ms.push(state.latency_ms);
        self.latency_p95_ms.push(state.latency_p95_ms);
        self.success_rate.push(state.success_rate.map(Share::ppm));
        self.height.push(state.height);
        self.lag_blocks.push(state.lag_blocks);
        self.in_use.push(u8::from(state.in_use));
        self.in_use_since.push(state.in_use_since);
        self.last_error.push(text(state.last_error.as_deref()));
        self.last_error_at.push(state.last_error_at);
        self.last_seen_at.push(state.last_seen_at);
        self.priority.push(state.priority);
        self.roles.push(state.roles.as_bytes());
        self.limit_per_1000_s.push(state.limit_per_1000_s);
        let usage = &state.usage;
        self.hour_calls.push(usage.hour_calls);
        self.hour_bytes.push(usage.hour_bytes);
        self.hour_blocks.push(usage.hour_blocks);
        self.day_calls.push(usage.day_calls);
        self.day_bytes.push(usage.day_bytes);
        self.per_day.push(usage.per_day);
        let lie = state.lie.as_ref();
        self.lie_at.push(lie.map(|lie| lie.at));
        self.lie_found_by.push(text(lie.map(|lie| lie.found_by.as_str())));
        self.lie_said.push(text(lie.map(|lie| lie.said.as_str())));
        self.lie_right.push(text(lie.map(|lie| lie.right.as_str())));
        let link = state.link.as_ref();
        self.protocol.push(link.map_or("", |link| &link.protocol));
        self.software.push(text(link.and_then(|link| link.software.as_deref())));
        self.sockets.push(link.and_then(|link| link.sockets));
        self.in_flight.push(link.and_then(|link| link.in_flight));
    }
}
