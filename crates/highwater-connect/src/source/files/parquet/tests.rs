use std::sync::Arc;

use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type,
    Int64Type, Int96, Int96Type,
};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::*;

type Group<'a> = SerializedRowGroupWriter<'a, File>;

/// A file of one group of rows; and what its rows and its schema are as text.
fn written(message: &str, columns: impl FnOnce(&mut Group<'_>)) -> (Vec<String>, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(&path, message, columns);
    (texts(&path), schema(dir.path(), &["a.parquet".to_owned()]).unwrap())
}

fn write(path: &Path, message: &str, columns: impl FnOnce(&mut Group<'_>)) {
    let schema = Arc::new(parse_message_type(&format!("message r {{ {message} }}")).unwrap());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    columns(&mut group);
    group.close().unwrap();
    writer.close().unwrap();
}

fn column<T: DataType>(group: &mut Group<'_>, values: &[T::T], levels: Option<&[i16]>) {
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(values, levels, None).unwrap();
    column.close().unwrap();
}

#[test]
fn times_are_exact_in_every_unit() {
    let message = "REQUIRED INT64 ns (TIMESTAMP(NANOS,true)); REQUIRED INT64 wall (TIMESTAMP(MICROS,false)); \
                   REQUIRED INT64 at (TIME(NANOS,true)); REQUIRED INT32 old (TIME_MILLIS); REQUIRED INT32 day (DATE);";
    let (rows, schema) = written(message, |group| {
        column::<Int64Type>(group, &[1_700_000_000_123_456_789], None);
        column::<Int64Type>(group, &[1_704_110_400_000_001], None);
        column::<Int64Type>(group, &[86_399_999_999_999], None);
        column::<Int32Type>(group, &[14_611_123], None);
        column::<Int32Type>(group, &[19_675], None);
    });
    let row = r#"{"ns":"2023-11-14T22:13:20.123456789Z","wall":"2024-01-01T12:00:00.000001","at":"23:59:59.999999999","old":"04:03:31.123","day":"2023-11-14"}"#;
    assert_eq!(rows, [row]);
    for property in [
        r#""ns":{"format":"date-time","type":["null","string"]}"#,
        r#""wall":{"airbyte_type":"timestamp_without_timezone","format":"date-time","type":["null","string"]}"#,
        r#""at":{"format":"time","type":["null","string"]}"#,
        r#""old":{"format":"time","type":["null","string"]}"#,
    ] {
        assert!(schema.contains(property), "{schema}");
    }
}

#[test]
fn no_year_is_too_far() {
    let message = "REQUIRED INT64 us (TIMESTAMP(MICROS,true)); REQUIRED INT32 day (DATE);";
    let (rows, _) = written(message, |group| {
        column::<Int64Type>(group, &[253_402_300_800_000_000], None);
        column::<Int32Type>(group, &[i32::MAX], None);
    });
    assert_eq!(rows, [r#"{"us":"+010000-01-01T00:00:00Z","day":"+5881580-07-11"}"#]);
}

#[test]
fn timestamps_of_96_bits_are_exact() {
    let (rows, schema) = written("REQUIRED INT64 id; OPTIONAL INT96 at; REQUIRED INT96 always;", |group| {
        let count = 2500;
        let ids: Vec<i64> = (0..count).collect();
        let moment = |nanos: i64| {
            let mut value = Int96::new();
            value.set_data(nanos as u32, (nanos >> 32) as u32, 2_440_588 + 19_675);
            value
        };
        // Every third is null.
        let levels: Vec<i16> = ids.iter().map(|id| i16::from(id % 3 > 0)).collect();
        let of = |id: &i64| moment(80_000_123_456_000 + id);
        let there: Vec<Int96> = ids.iter().filter(|id| **id % 3 > 0).map(of).collect();
        column::<Int64Type>(group, &ids, None);
        column::<Int96Type>(group, &there, Some(&levels));
        column::<Int96Type>(group, &ids.iter().map(of).collect::<Vec<_>>(), None);
    });
    assert!(schema.contains(r#""at":{"format":"date-time""#), "{schema}");
    for (id, row) in rows.iter().enumerate() {
        let fraction = format!("{:09}", 123_456_000 + id);
        let time = format!("\"2023-11-14T22:13:20.{}Z\"", fraction.trim_end_matches('0'));
        let at = if id % 3 > 0 { time.as_str() } else { "null" };
        assert_eq!(row, &format!(r#"{{"id":{id},"at":{at},"always":{time}}}"#));
    }
    assert_eq!(rows.len(), 2500);
}

#[test]
fn a_uuid_is_one() {
    let (rows, schema) = written("REQUIRED FIXED_LEN_BYTE_ARRAY(16) id (UUID);", |group| {
        let bytes = FixedLenByteArray::from(ByteArray::from((0..16).collect::<Vec<u8>>()));
        column::<FixedLenByteArrayType>(group, &[bytes], None);
    });
    assert_eq!(rows, [r#"{"id":"00010203-0405-0607-0809-0a0b0c0d0e0f"}"#]);
    assert!(schema.contains(r#""format":"uuid""#), "{schema}");
}

#[test]
fn a_time_inside_a_list_or_a_map_is_one() {
    let message = "OPTIONAL GROUP l (LIST) { REPEATED GROUP list { OPTIONAL INT64 element (TIMESTAMP(NANOS,true)); } } \
                   OPTIONAL GROUP m (MAP) { REPEATED GROUP key_value { REQUIRED INT32 key (DATE); OPTIONAL INT64 value (TIME(NANOS,false)); } }";
    let (rows, _) = written(message, |group| {
        let mut nested = |values: &[i64], level: i16| {
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<Int64Type>().write_batch(values, Some(&[level]), Some(&[0])).unwrap();
            column.close().unwrap();
        };
        nested(&[1], 3);
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int32Type>().write_batch(&[1], Some(&[2]), Some(&[0])).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[1000], Some(&[3]), Some(&[0])).unwrap();
        column.close().unwrap();
    });
    let row =
        r#"{"l":["1970-01-01T00:00:00.000000001Z"],"m":[{"key":"1970-01-02","value":"00:00:00.000001"}]}"#;
    assert_eq!(rows, [row]);
}

#[test]
fn a_type_that_is_not_understood_is_told_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(&path, "REQUIRED FIXED_LEN_BYTE_ARRAY(12) span (INTERVAL);", |group| {
        let bytes = FixedLenByteArray::from(ByteArray::from(vec![0; 12]));
        column::<FixedLenByteArrayType>(group, &[bytes], None);
    });
    let reader = open(&path).unwrap();
    let group = reader.get_row_group(0).unwrap();
    let told = Rows::open(&*group).and_then(|mut rows| rows.next(false)).unwrap_err();
    assert!(told.to_string().contains("types are not understood"), "{told}");
}

#[test]
fn files_whose_types_alternate_are_no_change() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..200).map(|n| format!("{n:03}.parquet")).collect();
    let mut schemas = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let path = dir.path().join(name);
        if n % 2 == 0 {
            write(&path, "REQUIRED INT64 amount; REQUIRED INT64 code;", |group| {
                column::<Int64Type>(group, &[1], None);
                column::<Int64Type>(group, &[1], None);
            });
        } else {
            write(&path, "REQUIRED DOUBLE amount; REQUIRED BYTE_ARRAY code (UTF8);", |group| {
                column::<DoubleType>(group, &[1.5], None);
                column::<ByteArrayType>(group, &[ByteArray::from("x")], None);
            });
        }
        schemas.push(schema(dir.path(), &names[..=n]).unwrap());
    }
    let both = r#"{"properties":{"amount":{"type":["null","number"]},"code":{"anyOf":[{"type":["null","integer"]},{"type":["null","string"]}]}},"type":"object"}"#;
    assert!(schemas[1..].iter().all(|one| one == both), "{}", schemas[199]);
    let mut turned = names;
    turned.reverse();
    assert_eq!(schema(dir.path(), &turned).unwrap(), both);
}
