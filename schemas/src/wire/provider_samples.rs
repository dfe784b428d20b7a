//! `providers.samples`: `kind` says which of the columns are set.
//!
//! Guarantee: what says nothing of the way to an endpoint is written as version 1 of the schema says it, so that processes of before read it
//! while a deployment is upgraded.

use super::{Column, Columns, Datum, Group, Malformed, Row, columns, concat, parsed, required};
use crate::{
    primitives::{ParseError, TimeMs},
    records::{
        CallSample, EndpointState, Lie, Link, MinuteSample, Outcome, ProviderSample, ProviderState, Seen, Share, Usage,
    },
};

const CALL: &str = "call";
const MINUTE: &str = "minute";
const STATE: &str = "state";

/// All kinds. These records are few, so that the row is filled and parsed rather than written in place.
#[derive(Default)]
struct SampleRow {
    kind: String,
    network: String,
    endpoint: String,
    at: TimeMs,
    observer: String,
    method: Option<String>,
    probe: Option<bool>,
    latency_ms: Option<u64>,
    outcome: Option<Outcome>,
    height: Option<u64>,
    error: Option<String>,
    bytes: Option<u64>,
    calls: Option<u64>,
    failures: Option<u64>,
    latency_p50_ms: Option<u64>,
    latency_p95_ms: Option<u64>,
    url: Option<String>,
    operator: Option<String>,
    state: Option<ProviderState>,
    reason: Option<String>,
    since: Option<TimeMs>,
    every_ms: Option<u64>,
    score: Option<u32>,
    latency_part: Option<Share>,
    success_part: Option<Share>,
    height_part: Option<Share>,
    success_rate: Option<Share>,
    lag_blocks: Option<u64>,
    in_use: Option<bool>,
    in_use_since: Option<TimeMs>,
    last_error_at: Option<TimeMs>,
    last_seen_at: Option<TimeMs>,
    priority: Option<u32>,
    roles: Option<String>,
    limit_per_1000_s: Option<u64>,
    hour_calls: Option<u64>,
    hour_bytes: Option<u64>,
    hour_blocks: Option<u64>,
    day_calls: Option<u64>,
    day_bytes: Option<u64>,
    per_day: Option<u64>,
    lie_at: Option<TimeMs>,
    lie_found_by: Option<String>,
    lie_said: Option<String>,
    lie_right: Option<String>,
}
columns! { SampleRow, SampleRow {
    must kind: String,
    must network: String,
    must endpoint: String,
    must at: TimeMs,
    must observer: String,
    null method: String,
    null probe: bool,
    null latency_ms: u64,
    null outcome: Outcome,
    null height: u64,
    null error: String,
    null bytes: u64,
    null calls: u64,
    null failures: u64,
    null latency_p50_ms: u64,
    null latency_p95_ms: u64,
    null url: String,
    null operator: String,
    null state: ProviderState,
    null reason: String,
    null since: TimeMs,
    null every_ms: u64,
    null score: u32,
    null latency_part: Share,
    null success_part: Share,
    null height_part: Share,
    null success_rate: Share,
    null lag_blocks: u64,
    null in_use: bool,
    null in_use_since: TimeMs,
    null last_error_at: TimeMs,
    null last_seen_at: TimeMs,
    null priority: u32,
    null roles: String,
    null limit_per_1000_s: u64,
    null hour_calls: u64,
    null hour_bytes: u64,
    null hour_blocks: u64,
    null day_calls: u64,
    null day_bytes: u64,
    null per_day: u64,
    null lie_at: TimeMs,
    null lie_found_by: String,
    null lie_said: String,
    null lie_right: String,
} }

/// The columns that came with version 2.
#[derive(Default)]
struct LinkRow {
    protocol: Option<String>,
    software: Option<String>,
    sockets: Option<u32>,
    in_flight: Option<u32>,
}
columns! { LinkRow, LinkRow {
    null protocol: String,
    null software: String,
    null sockets: u32,
    null in_flight: u32,
} }

impl LinkRow {
    fn of(link: Link) -> Self {
        let Link { protocol, software, sockets, in_flight } = link;
        Self { protocol: Some(protocol), software, sockets, in_flight }
    }

    fn into_link(self) -> Result<Link, Malformed> {
        let Self { protocol, software, sockets, in_flight } = self;
        Ok(Link { protocol: required("protocol", protocol)?, software, sockets, in_flight })
    }
}

impl SampleRow {
    fn call(self, call: CallSample) -> Self {
        Self {
            method: Some(call.method),
            probe: Some(call.probe),
            latency_ms: Some(call.latency_ms),
            outcome: Some(call.outcome),
            height: call.height,
            error: call.error,
            bytes: Some(call.bytes),
            ..self
        }
    }

    fn minute(self, minute: MinuteSample) -> Self {
        Self {
            method: Some(minute.method),
            calls: Some(minute.calls),
            failures: Some(minute.failures),
            latency_p50_ms: minute.latency_p50_ms,
            latency_p95_ms: minute.latency_p95_ms,
            bytes: Some(minute.bytes),
            ..self
        }
    }

    fn state(self, state: EndpointState) -> Self {
        let (at, found_by, said, right) = match state.lie {
            Some(lie) => (Some(lie.at), Some(lie.found_by), Some(lie.said), Some(lie.right)),
            None => (None, None, None, None),
        };
        Self {
            url: Some(state.url),
            operator: Some(state.operator),
            state: Some(state.state),
            reason: state.reason,
            since: Some(state.since),
            every_ms: Some(state.every_ms),
            score: state.score,
            latency_part: state.latency_part,
            success_part: state.success_part,
            height_part: state.height_part,
            latency_ms: state.latency_ms,
            latency_p95_ms: state.latency_p95_ms,
            success_rate: state.success_rate,
            height: state.height,
            lag_blocks: state.lag_blocks,
            in_use: Some(state.in_use),
            in_use_since: state.in_use_since,
            error: state.last_error,
            last_error_at: state.last_error_at,
            last_seen_at: state.last_seen_at,
            priority: Some(state.priority),
            roles: Some(state.roles),
            limit_per_1000_s: state.limit_per_1000_s,
            hour_calls: Some(state.usage.hour_calls),
            hour_bytes: Some(state.usage.hour_bytes),
            hour_blocks: Some(state.usage.hour_blocks),
            day_calls: Some(state.usage.day_calls),
            day_bytes: Some(state.usage.day_bytes),
            per_day: state.usage.per_day,
            lie_at: at,
            lie_found_by: found_by,
            lie_said: said,
            lie_right: right,
            ..self
        }
    }

    fn into_call(self) -> Result<CallSample, Malformed> {
        Ok(CallSample {
            method: required("method", self.method)?,
            probe: required("probe", self.probe)?,
            latency_ms: required("latency_ms", self.latency_ms)?,
            outcome: required("outcome", self.outcome)?,
            height: self.height,
            error: self.error,
            bytes: required("bytes", self.bytes)?,
        })
    }

    fn into_minute(self) -> Result<MinuteSample, Malformed> {
        Ok(MinuteSample {
            method: required("method", self.method)?,
            calls: required("calls", self.calls)?,
            failures: required("failures", self.failures)?,
            latency_p50_ms: self.latency_p50_ms,
            latency_p95_ms: self.latency_p95_ms,
            bytes: required("bytes", self.bytes)?,
        })
    }

    fn into_state(self, link: Option<Link>) -> Result<EndpointState, Malformed> {
        let lie = match self.lie_at {
            Some(at) => Some(Lie {
                at,
                found_by: required("lie_found_by", self.lie_found_by)?,
                said: required("lie_said", self.lie_said)?,
                right: required("lie_right", self.lie_right)?,
            }),
            None => None,
        };
        Ok(EndpointState {
            url: required("url", self.url)?,
            operator: required("operator", self.operator)?,
            state: required("state", self.state)?,
            reason: self.reason,
            since: required("since", self.since)?,
            every_ms: required("every_ms", self.every_ms)?,
            score: self.score,
            latency_part: self.latency_part,
            success_part: self.success_part,
            height_part: self.height_part,
            latency_ms: self.latency_ms,
            latency_p95_ms: self.latency_p95_ms,
            success_rate: self.success_rate,
            height: self.height,
            lag_blocks: self.lag_blocks,
            in_use: required("in_use", self.in_use)?,
            in_use_since: self.in_use_since,
            last_error: self.error,
            last_error_at: self.last_error_at,
            last_seen_at: self.last_seen_at,
            priority: required("priority", self.priority)?,
            roles: required("roles", self.roles)?,
            limit_per_1000_s: self.limit_per_1000_s,
            usage: Usage {
                hour_calls: required("hour_calls", self.hour_calls)?,
                hour_bytes: required("hour_bytes", self.hour_bytes)?,
                hour_blocks: required("hour_blocks", self.hour_blocks)?,
                day_calls: required("day_calls", self.day_calls)?,
                day_bytes: required("day_bytes", self.day_bytes)?,
                per_day: self.per_day,
            },
            lie,
            link,
        })
    }
}

impl Row for ProviderSample {
    fn columns() -> Vec<Column> {
        concat([SampleRow::specs(), LinkRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        let kind = match &self.seen {
            Seen::Call(_) => CALL,
            Seen::Minute(_) => MINUTE,
            Seen::State(_) => STATE,
        };
        let row = SampleRow {
            kind: kind.to_owned(),
            network: self.network.as_str().to_owned(),
            endpoint: self.endpoint.clone(),
            at: self.at,
            observer: self.observer.clone(),
            ..SampleRow::default()
        };
        let (row, link) = match self.seen.clone() {
            Seen::Call(call) => (row.call(call), None),
            Seen::Minute(minute) => (row.minute(minute), None),
            Seen::State(mut state) => {
                let link = state.link.take();
                (row.state(*state), link)
            }
        };
        SampleRow::put(&row, out);
        // Left out where nothing is said of it: that is how version 1 was written.
        if let Some(link) = link {
            LinkRow::put(&LinkRow::of(link), out);
        }
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let (mut row, mut more) = (SampleRow::default(), Group::<LinkRow>::new());
        datum.walk(|column, input, step| match column.checked_sub(SampleRow::COUNT) {
            None => row.read(column, input, step).map(drop),
            Some(column) => more.read(column, input, step),
        })?;
        let link = more.finish()?.map(LinkRow::into_link).transpose()?;
        let network = parsed("network", &row.network)?;
        let (endpoint, at) = (std::mem::take(&mut row.endpoint), row.at);
        let observer = std::mem::take(&mut row.observer);
        let seen = match row.kind.as_str() {
            CALL => Seen::Call(row.into_call()?),
            MINUTE => Seen::Minute(row.into_minute()?),
            STATE => Seen::State(Box::new(row.into_state(link)?)),
            other => {
                return Err(Malformed {
                    field: "kind".to_owned(),
                    problem: ParseError::new(other, "kind of sample", "call, minute or state").into(),
                });
            }
        };
        Ok(Self { network, endpoint, at, observer, seen })
    }
}
