//! The records' binary form: one file per topic, each a list of columns that must agree with the topic's `.avsc`, in order.
//!
//! Guarantee: what is written here is what the schema says (checked column by column when a [`Codec`](crate::codec::Codec) is
//! made, and by reading our bytes with a stock Avro reader in the tests); what is read is checked for exact length, ranges
//! and form, and no input panics.

mod alerts;
mod bitcoin;
mod checkpoints;
mod contract_facts;
mod control_config;
mod control_tenants;
mod dead_letters;
mod enrich_status;
mod enriched_blocks;
mod enriched_causes;
pub(crate) mod enriched_events;
pub(crate) mod enriched_transactions;
pub(crate) mod envelopes;
pub(crate) mod input;
pub(crate) mod plan;
mod provider_samples;
mod raw_blocks;
pub(crate) mod raw_transactions;
mod sketches;
mod stage_status;
mod status;
pub(crate) mod strict;
mod values;
mod windows;

pub(crate) use control_config::{
    CONTRACT as CONTRACT_KIND, NETWORK as NETWORK_KIND, REQUEST as REQUEST_KIND, WATCHED as WATCHED_KIND,
};
use input::{Input, Problem};
use plan::{ColumnSpec, Plan, Step};
pub use values::{U256_DIGITS, decimal_text};

/// A record that the codec can write and read.
pub trait Row: Sized {
    /// Its columns, in the schema's order.
    #[doc(hidden)]
    fn columns() -> Vec<Column>;
    /// Appends the datum.
    #[doc(hidden)]
    fn put(&self, out: &mut Vec<u8>);
    /// Reads a datum.
    #[doc(hidden)]
    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed>;
    /// About how many bytes the datum takes.
    #[doc(hidden)]
    fn size_hint(&self) -> usize {
        512
    }
}

/// A column, opaque outside.
pub struct Column(pub(crate) ColumnSpec);

/// Bytes to be read and how, opaque outside.
pub struct Datum<'i, 'p> {
    pub(crate) input: Input<'i>,
    pub(crate) plan: &'p Plan,
}

/// A field that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}`: {problem}")]
pub struct Malformed {
    /// Its name.
    pub field: String,
    /// What is wrong with it.
    pub problem: Problem,
}

impl Malformed {
    fn missing(field: &str) -> Self {
        Self { field: field.to_owned(), problem: Problem::Missing }
    }
}

impl Datum<'_, '_> {
    /// Reads a datum by a writer's schema that is in no registry: for trying out a change of a schema.
    pub fn of<R: Row>(avsc: &str, datum: &[u8]) -> Result<R, String> {
        let schema = apache_avro::Schema::parse_str(avsc).map_err(|e| e.to_string())?;
        let columns: Vec<_> = R::columns().into_iter().map(|c| c.0).collect();
        let plan = Plan::new(&schema, &columns)?;
        let mut datum = Datum { input: Input(datum), plan: &plan };
        let record = R::get(&mut datum).map_err(|e| e.to_string())?;
        if datum.input.0.is_empty() { Ok(record) } else { Err("bytes after the end".to_owned()) }
    }
}

impl<'p> Datum<'_, 'p> {
    fn walk(
        &mut self,
        read: impl FnMut(usize, &mut Input<'_>, &'p Step) -> Result<(), Problem>,
    ) -> Result<(), Malformed> {
        self.walk_from(0, read)
    }

    /// From this field of the writer on.
    fn walk_from(
        &mut self,
        field: usize,
        read: impl FnMut(usize, &mut Input<'_>, &'p Step) -> Result<(), Problem>,
    ) -> Result<(), Malformed> {
        let steps = self.plan.0.get(field..).unwrap_or_default();
        plan::walk(steps, &mut self.input, read)
            .map_err(|(field, problem)| Malformed { field: field.to_owned(), problem })
    }
}

/// How a column is written, known while compiling.
pub(crate) struct Layout {
    name: &'static str,
    pub(crate) form: strict::Form,
    /// Whether a row may have null there.
    pub(crate) optional: bool,
}

/// The place of a column.
pub(crate) const fn place(layout: &[Layout], name: &str) -> usize {
    let mut at = 0;
    while !same(layout[at].name, name) {
        at += 1;
    }
    at
}

/// Whether two texts are the same, known while compiling.
pub(crate) const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while a.len() == b.len() && i < a.len() && a[i] == b[i] {
        i += 1;
    }
    a.len() == b.len() && i == a.len()
}

/// Whether null may stand in the slot of a column.
const fn optional<R, B: values::Base, S: values::Slot<B>>(_: fn(&R) -> &S) -> bool {
    S::OPTIONAL
}

/// Columns that belong together: the envelope, the header, the transaction.
pub(crate) trait Columns: Default {
    /// What they are written from.
    type Source;
    /// How many.
    const COUNT: usize;
    /// Each of them.
    const LAYOUT: &'static [Layout];
    fn specs() -> Vec<ColumnSpec>;
    fn put(source: &Self::Source, out: &mut Vec<u8>);
    fn read(&mut self, column: usize, input: &mut Input<'_>, step: &Step) -> Result<Cell, Problem>;

    /// Null in every column (all of them nullable).
    fn put_nulls(out: &mut Vec<u8>) {
        out.resize(out.len() + Self::COUNT, 0);
    }
}

/// What a column turned out to hold.
#[derive(PartialEq, Eq)]
pub(crate) enum Cell {
    Value,
    Null,
    /// Null where the row needs a value.
    Missing,
}

/// Columns while they are read.
struct Group<T> {
    row: T,
    present: bool,
    missing: Option<usize>,
}

impl<T: Columns> Group<T> {
    fn new() -> Self {
        Self { row: T::default(), present: false, missing: None }
    }

    #[inline]
    fn read(&mut self, column: usize, input: &mut Input<'_>, step: &Step) -> Result<(), Problem> {
        match self.row.read(column, input, step)? {
            Cell::Value => self.present = true,
            Cell::Null => {}
            Cell::Missing => self.missing = self.missing.or(Some(column)),
        }
        Ok(())
    }

    /// The row; `None` when every column was null.
    fn finish(self) -> Result<Option<T>, Malformed> {
        match self.missing {
            _ if !self.present => Ok(None),
            Some(column) => Err(Malformed::missing(T::specs()[column].name)),
            None => Ok(Some(self.row)),
        }
    }

    /// The row of columns that are never all null.
    fn finish_required(self) -> Result<T, Malformed> {
        let first = T::specs()[0].name;
        self.finish()?.ok_or_else(|| Malformed::missing(first))
    }
}

/// `columns! { Row, Source { mode field: Base, … } }`: the one list from which writing and reading follow.
///
/// Modes: `must` is never null in the schema; `null` is `["null", …]` there. The row keeps either the value or an `Option`. `data` is `must`
/// for bytes that stand as such.
/// `as "name"` gives the schema's name where it is not the field's.
macro_rules! columns {
    ($row:ty, $source:ty { $($mode:ident $field:ident $(as $name:literal)? : $base:ty),* $(,)? }) => {
        impl $crate::wire::Columns for $row {
            type Source = $source;
            const COUNT: usize = Self::LAYOUT.len();
            const LAYOUT: &'static [$crate::wire::Layout] = &[$($crate::wire::Layout {
                name: columns!(@name $field $($name)?),
                form: <$base as $crate::wire::values::Base>::FORM,
                optional: $crate::wire::optional::<$row, $base, _>(|row| &row.$field),
            }),*];
            fn specs() -> Vec<$crate::wire::plan::ColumnSpec> {
                vec![$($crate::wire::plan::ColumnSpec {
                    name: columns!(@name $field $($name)?),
                    kind: <$base as $crate::wire::values::Base>::KIND,
                    nullable: columns!(@nullable $mode),
                }),*]
            }
            fn put(source: &$source, out: &mut Vec<u8>) {
                $(columns!(@put $mode, $base, &source.$field, out);)*
            }
            #[inline]
            fn read(
                &mut self,
                column: usize,
                input: &mut $crate::wire::input::Input<'_>,
                step: &$crate::wire::plan::Step,
            ) -> Result<$crate::wire::Cell, $crate::wire::input::Problem> {
                #[allow(non_camel_case_types)]
                enum At { $($field),* }
                $(if column == At::$field as usize {
                    return $crate::wire::read_cell::<$base, _>(&mut self.$field, input, step);
                })*
                Err($crate::wire::input::Problem::Missing)
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
    (@nullable must) => { false };
    (@nullable data) => { false };
    (@nullable null) => { true };
    (@put must, $base:ty, $value:expr, $out:expr) => { <$base as $crate::wire::values::Base>::put($value, $out) };
    (@put data, $base:ty, $value:expr, $out:expr) => { $crate::wire::put_data($value, $out) };
    (@put null, $base:ty, $value:expr, $out:expr) => { $crate::wire::put_nullable::<$base, _>($value, $out) };
}
use columns;

/// `items!(Row, …)`: rows of columns that are records of their own: of an array, or nested.
macro_rules! items {
    ($($item:ty),*) => {$(
        impl $crate::wire::values::Item for $item {
            fn columns() -> Vec<$crate::wire::plan::ColumnSpec> {
                <Self as $crate::wire::Columns>::specs()
            }
            fn put(&self, out: &mut Vec<u8>) {
                <Self as $crate::wire::Columns>::put(self, out);
            }
            fn get(
                input: &mut $crate::wire::input::Input<'_>,
                plan: &$crate::wire::plan::Plan,
            ) -> Result<Self, $crate::wire::input::Problem> {
                $crate::wire::read(input, plan)
            }
        }
    )*};
}
use items;

/// Columns by themselves, which are a record.
fn read<T: Columns>(input: &mut Input<'_>, plan: &Plan) -> Result<T, Problem> {
    let mut row = T::default();
    plan.walk(input, |column, input, step| row.read(column, input, step).map(drop)).map_err(|(_, problem)| problem)?;
    Ok(row)
}

#[inline]
fn put_data(bytes: &alloy_primitives::Bytes, out: &mut Vec<u8>) {
    values::Base::put(&bytes.0, out);
}

#[inline]
fn put_nullable<B: values::Base, S: values::Slot<B>>(slot: &S, out: &mut Vec<u8>) {
    match slot.as_value() {
        Some(value) => {
            out.push(2);
            value.put(out);
        }
        None => out.push(0),
    }
}

#[inline]
fn read_cell<B: values::Base, S: values::Slot<B>>(
    slot: &mut S,
    input: &mut Input<'_>,
    step: &Step,
) -> Result<Cell, Problem> {
    if step.present(input)? {
        slot.set(B::get(input, step)?);
        Ok(Cell::Value)
    } else if S::OPTIONAL {
        Ok(Cell::Null)
    } else {
        Ok(Cell::Missing)
    }
}

/// The columns of several groups, one after the other.
fn concat(groups: impl IntoIterator<Item = Vec<ColumnSpec>>) -> Vec<Column> {
    groups.into_iter().flatten().map(Column).collect()
}

/// A value that this kind of record must have.
fn required<T>(field: &str, value: Option<T>) -> Result<T, Malformed> {
    value.ok_or_else(|| Malformed::missing(field))
}

/// A newtype kept as text in a row.
fn parsed<T: std::str::FromStr<Err = crate::primitives::ParseError>>(field: &str, text: &str) -> Result<T, Malformed> {
    text.parse().map_err(|e| Malformed { field: field.to_owned(), problem: Problem::Parse(e) })
}
