"""Archives: what the container says of its members, then the members themselves by whatever they are.

Nothing is unpacked under a name that an archive chose, and nothing beyond the limits.
"""

from kfm_repro.compare.archive.gz import compare_gzip
from kfm_repro.compare.archive.streams import compare_bzip2, compare_xz, compare_zstd
from kfm_repro.compare.archive.tars import compare_tar
from kfm_repro.compare.archive.zips import compare_zip

__all__ = ["compare_bzip2", "compare_gzip", "compare_tar", "compare_xz", "compare_zip", "compare_zstd"]
