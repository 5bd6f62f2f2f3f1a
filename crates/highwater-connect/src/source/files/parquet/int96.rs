//! Timestamps of 96 bits, an old form that Spark, Hive and Impala write. The library's rows have them to the millisecond only, so their
//! columns are read once more beside the rows.

use parquet::column::reader::{ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{Int96, Int96Type};
use parquet::errors::Result;
use parquet::file::reader::RowGroupReader;

/// So many values are read at a time.
const BATCH: usize = 1024;
const DAY_NS: i128 = 86_400_000_000_000;
/// 1970 as a Julian day.
const DAY_OF_1970: i128 = 2_440_588;

/// The columns of a row group that are such timestamps, and are no part of another.
pub(super) struct Columns(Vec<Column>);

struct Column {
    /// Which column of the row.
    place: usize,
    reader: ColumnReaderImpl<Int96Type>,
    /// Of those that were read; the last is the next.
    values: Vec<Option<i128>>,
    now: Option<i128>,
}

impl Columns {
    pub(super) fn open(group: &dyn RowGroupReader) -> Result<Self> {
        let schema = group.metadata().schema_descr();
        let mut columns = Vec::new();
        for (number, column) in schema.columns().iter().enumerate() {
            let is_its_own = column.path().parts().len() == 1 && column.max_rep_level() == 0;
            if is_its_own && column.physical_type() == parquet::basic::Type::INT96 {
                let reader = get_typed_column_reader(group.get_column_reader(number)?);
                let place = schema.get_column_root_idx(number);
                columns.push(Column { place, reader, values: Vec::new(), now: None });
            }
        }
        Ok(Columns(columns))
    }

    /// To the next row.
    pub(super) fn advance(&mut self) -> Result<()> {
        self.0.iter_mut().try_for_each(Column::advance)
    }

    /// The row's value in that column, in nanoseconds since 1970.
    pub(super) fn value(&self, place: usize) -> Option<i128> {
        self.0.iter().find(|column| column.place == place).and_then(|column| column.now)
    }
}

impl Column {
    fn advance(&mut self) -> Result<()> {
        if self.values.is_empty() {
            self.fill()?;
        }
        self.now = self.values.pop().flatten();
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        let (mut levels, mut found) = (Vec::new(), Vec::new());
        let (rows, _, _) = self.reader.read_records(BATCH, Some(&mut levels), None, &mut found)?;
        let mut found = found.iter().map(nanoseconds);
        // A column that may not be null has no levels.
        let is_there = |row: usize| levels.get(row).is_none_or(|level| *level > 0);
        self.values = (0..rows).map(|row| if is_there(row) { found.next() } else { None }).collect();
        self.values.reverse();
        Ok(())
    }
}

fn nanoseconds(value: &Int96) -> i128 {
    let [low, high, day] = [0, 1, 2].map(|word| value.data().get(word).copied().map_or(0, i128::from));
    (day - DAY_OF_1970) * DAY_NS + (high << 32 | low)
}
