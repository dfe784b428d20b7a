//! How a writer's schema maps onto a row of ours: resolved once per schema, so that decoding never looks a name up.
//!
//! Avro's rules for schema resolution, as far as our schemas use them: fields are matched by name, what we do not know is
//! skipped, what the writer did not know keeps its default (null), `int` reads as `long`, a plain type reads as nullable.

use apache_avro::Schema;

use super::input::{Input, Problem};

/// What a column holds on the wire.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// `boolean`.
    Boolean,
    /// `int` or `long`.
    Long,
    /// `string`.
    Text,
    /// `bytes`.
    Binary,
    /// `array` of `string`.
    Texts,
    /// `array` of `bytes`.
    Binaries,
    /// A record with these columns.
    Record(fn() -> Vec<ColumnSpec>),
    /// `array` of records with these columns.
    Records(fn() -> Vec<ColumnSpec>),
}

/// A column of a row of ours.
pub(crate) struct ColumnSpec {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether today's schema says `["null", …]`.
    pub(crate) nullable: bool,
}

/// Where null stands in the writer's union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Null {
    Never,
    First,
    Second,
}

/// One field of the writer.
pub(crate) struct Step {
    pub(crate) name: Box<str>,
    /// Our column; `None` to skip the field.
    pub(crate) column: Option<usize>,
    null: Null,
    shape: Shape,
    /// Steps of the record, or of the items of an array of records.
    pub(crate) items: Plan,
}

/// The writer's fields in order.
#[derive(Default)]
pub(crate) struct Plan(pub(crate) Vec<Step>);

impl Step {
    /// Whether a value follows; reads the union's branch.
    #[inline]
    pub(crate) fn present(&self, input: &mut Input<'_>) -> Result<bool, Problem> {
        match (self.null, if self.null == Null::Never { 0 } else { input.long()? }) {
            (Null::Never, _) => Ok(true),
            (Null::First, 1) | (Null::Second, 0) => Ok(true),
            (_, 0 | 1) => Ok(false),
            (_, branch) => Err(Problem::Branch(branch)),
        }
    }
}

impl Plan {
    /// Maps a writer's record schema onto columns. The message of an error says which field does not fit.
    pub(crate) fn new(writer: &Schema, columns: &[ColumnSpec]) -> Result<Self, String> {
        let Schema::Record(record) = writer else { return Err("it is not a record".to_owned()) };
        for column in columns.iter().filter(|c| !c.nullable) {
            if !record.fields.iter().any(|f| f.name == column.name) {
                return Err(format!("it has no field `{}`", column.name));
            }
        }
        let step = |field: &apache_avro::schema::RecordField| {
            let (null, inner) = Self::nullable(&field.schema);
            let shape = Shape::new(inner).map_err(|e| format!("field `{}`: {e}", field.name))?;
            let column = columns.iter().position(|c| c.name == field.name);
            let mut items = Self::default();
            if let Some(spec) = column.map(|c| &columns[c]) {
                let fits = match (spec.kind, &shape) {
                    (Kind::Boolean, Shape::Boolean) | (Kind::Long, Shape::Long) | (Kind::Text, Shape::Text) => true,
                    (Kind::Binary, Shape::Binary | Shape::Text) => true,
                    (Kind::Texts, Shape::Array(item)) => matches!(**item, Shape::Text),
                    (Kind::Binaries, Shape::Array(item)) => matches!(**item, Shape::Binary),
                    (Kind::Record(columns), Shape::Record(_)) => {
                        items = Self::new(inner, &columns()).map_err(|e| format!("field `{}`: {e}", field.name))?;
                        true
                    }
                    (Kind::Records(columns), Shape::Array(_)) => match inner {
                        Schema::Array(array) => {
                            items = Self::new(&array.items, &columns())
                                .map_err(|e| format!("field `{}`: items: {e}", field.name))?;
                            true
                        }
                        _ => false,
                    },
                    _ => false,
                };
                if !fits || (null != Null::Never && !spec.nullable) {
                    return Err(format!("field `{}` has another type than today's", field.name));
                }
            }
            Ok(Step { name: field.name.as_str().into(), column, null, shape, items })
        };
        record.fields.iter().map(step).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the writer's fields are our columns, each in its place.
    pub(crate) fn is_identity(&self, columns: usize) -> bool {
        self.0.len() == columns && self.0.iter().enumerate().all(|(at, step)| step.column == Some(at))
    }

    /// Whether the writer's fields are the first of our columns, each in its place.
    pub(crate) fn is_beginning(&self) -> bool {
        self.0.iter().enumerate().all(|(at, step)| step.column == Some(at))
    }

    fn nullable(schema: &Schema) -> (Null, &Schema) {
        if let Schema::Union(union) = schema {
            match union.variants() {
                [Schema::Null, inner] => return (Null::First, inner),
                [inner, Schema::Null] => return (Null::Second, inner),
                _ => {}
            }
        }
        (Null::Never, schema)
    }

    /// Reads the writer's fields in order, giving those that have a column to `read`.
    #[inline]
    pub(crate) fn walk<'p>(
        &'p self,
        input: &mut Input<'_>,
        read: impl FnMut(usize, &mut Input<'_>, &'p Step) -> Result<(), Problem>,
    ) -> Result<(), (&'p str, Problem)> {
        walk(&self.0, input, read)
    }
}

/// The same, of these fields.
#[inline]
pub(crate) fn walk<'p>(
    steps: &'p [Step],
    input: &mut Input<'_>,
    mut read: impl FnMut(usize, &mut Input<'_>, &'p Step) -> Result<(), Problem>,
) -> Result<(), (&'p str, Problem)> {
    for step in steps {
        match step.column {
            Some(column) => read(column, input, step),
            None => step.present(input).and_then(|p| if p { step.shape.skip(input) } else { Ok(()) }),
        }
        .map_err(|problem| (&*step.name, problem))?;
    }
    Ok(())
}

/// A type, as far as skipping needs to know it.
enum Shape {
    Null,
    Boolean,
    Long,
    Text,
    Binary,
    Fixed(usize),
    Array(Box<Shape>),
    Map(Box<Shape>),
    Record(Vec<Shape>),
    Union(Vec<Shape>),
}

impl Shape {
    fn new(schema: &Schema) -> Result<Self, String> {
        use Schema as S;
        Ok(match schema {
            S::Null => Self::Null,
            S::Boolean => Self::Boolean,
            S::Int | S::Long | S::Enum(_) | S::Date | S::TimeMillis | S::TimeMicros => Self::Long,
            S::TimestampMillis | S::TimestampMicros | S::TimestampNanos => Self::Long,
            S::String => Self::Text,
            S::Bytes => Self::Binary,
            S::Float => Self::Fixed(4),
            S::Double => Self::Fixed(8),
            S::Fixed(fixed) => Self::Fixed(fixed.size),
            S::Array(array) => Self::Array(Box::new(Self::new(&array.items)?)),
            S::Map(map) => Self::Map(Box::new(Self::new(&map.types)?)),
            S::Record(record) => {
                Self::Record(record.fields.iter().map(|f| Self::new(&f.schema)).collect::<Result<_, _>>()?)
            }
            S::Union(union) => Self::Union(union.variants().iter().map(Self::new).collect::<Result<_, _>>()?),
            _ => return Err("it has a type that this contract does not use".to_owned()),
        })
    }

    fn skip(&self, input: &mut Input<'_>) -> Result<(), Problem> {
        match self {
            Self::Null => Ok(()),
            Self::Boolean => input.byte().map(drop),
            Self::Long => input.long().map(drop),
            Self::Text | Self::Binary => input.bytes().map(drop),
            Self::Fixed(n) => input.take(*n).map(drop),
            Self::Array(item) => input.items(|input| item.skip(input)),
            Self::Map(value) => input.items(|input| input.bytes().and_then(|_| value.skip(input))),
            Self::Record(fields) => fields.iter().try_for_each(|f| f.skip(input)),
            Self::Union(branches) => {
                let branch = input.long()?;
                let shape = usize::try_from(branch).ok().and_then(|b| branches.get(b));
                shape.ok_or(Problem::Branch(branch))?.skip(input)
            }
        }
    }
}
