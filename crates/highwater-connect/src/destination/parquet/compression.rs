//! How pages are compressed.

use parquet::basic::{Compression, GzipLevel, ZstdLevel};

/// What zstd's own tools take: smaller files than Parquet's usual 1, and still fast.
const ZSTD_USUAL: u32 = 3;
/// What gzip's own tools take.
const GZIP_USUAL: u32 = 6;

/// A codec as it stands in a pipeline file: a name, where there is one with a level. What is wrong is said behind the key's name.
pub(super) fn parse(text: &str) -> Result<Compression, String> {
    let (name, level) = text.split_once(':').map_or((text, None), |(name, level)| (name, Some(level)));
    let unknown =
        || format!("{text:?} is none of snappy, zstd, zstd:1 to zstd:22, gzip, gzip:1 to gzip:9, none");
    let level = level.map(|level| level.parse().map_err(|_| unknown())).transpose()?;
    match (name, level) {
        ("none", None) => Ok(Compression::UNCOMPRESSED),
        ("snappy", None) => Ok(Compression::SNAPPY),
        ("zstd", level @ (None | Some(1..=22))) => {
            let level = i32::try_from(level.unwrap_or(ZSTD_USUAL)).map_err(|_| unknown())?;
            ZstdLevel::try_new(level).map(Compression::ZSTD).map_err(|_| unknown())
        }
        ("gzip", level @ (None | Some(1..=9))) => {
            GzipLevel::try_new(level.unwrap_or(GZIP_USUAL)).map(Compression::GZIP).map_err(|_| unknown())
        }
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_has_a_name_and_perhaps_a_level() {
        assert_eq!(parse("zstd"), parse("zstd:3"));
        assert_eq!(parse("gzip"), parse("gzip:6"));
        assert_eq!(parse("none"), Ok(Compression::UNCOMPRESSED));
        for wrong in ["", "zstd:", "zstd:0", "zstd:23", "zstd:-1", "gzip:0", "gzip:10", "snappy:1", "brotli"]
        {
            assert!(parse(wrong).unwrap_err().contains("zstd:1 to zstd:22"), "{wrong}");
        }
    }
}
