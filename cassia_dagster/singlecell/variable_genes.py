"""Finds the genes that vary more between cells than others of the same mean, from sums that blocks of cells add to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from scipy.sparse import csr_matrix

N_BINS = 20
"""Classes of mean expression within which dispersions are compared."""


class GeneMoments:
    """Mean and variance of each gene, gathered from blocks of cells."""

    def __init__(self, n_genes: int) -> None:
        import numpy as np

        self.n_cells = 0
        self._sums = np.zeros(n_genes)
        self._squares = np.zeros(n_genes)

    def add(self, block: csr_matrix) -> None:
        """Take in some more cells.

        Parameters
        ----------
        block
            Cells × genes, on the scale on which the moments are wanted.
        """
        import numpy as np

        values = block.data.astype(np.float64)
        n_genes = len(self._sums)
        self.n_cells += block.shape[0]
        self._sums += np.bincount(block.indices, values, minlength=n_genes)
        self._squares += np.bincount(block.indices, np.square(values, out=values), minlength=n_genes)

    @property
    def mean(self) -> np.ndarray:
        """Of each gene over all cells."""
        return self._sums / self.n_cells

    @property
    def variance(self) -> np.ndarray:
        """Of each gene over all cells, as of a sample."""
        import numpy as np

        spread = self._squares / self.n_cells - np.square(self.mean)
        return np.maximum(spread, 0) * (self.n_cells / max(self.n_cells - 1, 1))


def flag_variable_genes(moments: GeneMoments, *, min_mean: float, max_mean: float, min_disp: float) -> pd.DataFrame:
    """Flag the genes whose dispersion stands out among genes of a similar mean (Satija et al. 2015, as in Scanpy).

    Parameters
    ----------
    moments
        Of the normalised counts, before the logarithm.
    min_mean, max_mean
        Bounds, both excluded, on the logarithm of the mean.
    min_disp
        Bound, excluded, on the dispersion in standard deviations of its class.

    Returns
    -------
    DataFrame
        A row for each gene: ``means``, ``dispersions``, ``dispersions_norm`` and ``highly_variable``.

    Notes
    -----
    The dispersion is log(variance / mean). Genes are put into 20 classes of equal width by log1p of their mean; a gene
    that has a class to itself has the normalised dispersion 1.
    """
    import numpy as np
    import pandas as pd

    mean = moments.mean
    mean[mean == 0] = 1e-12
    ratio = moments.variance / mean
    dispersion = np.log(ratio, out=np.full_like(ratio, np.nan), where=ratio > 0)
    genes = pd.DataFrame({"means": np.log1p(mean), "dispersions": dispersion})
    classes = genes.groupby(pd.cut(genes["means"], bins=N_BINS), observed=True)["dispersions"]
    average, deviation = classes.transform("mean"), classes.transform("std")
    alone = deviation.isna()
    deviation, average = deviation.mask(alone, average), average.mask(alone, 0)
    genes["dispersions_norm"] = (genes["dispersions"] - average) / deviation
    # A gene of no class is no reason to leave one out that the bounds let in, nor to take it.
    normalised = genes["dispersions_norm"].fillna(0)
    genes["highly_variable"] = genes["means"].gt(min_mean) & genes["means"].lt(max_mean) & normalised.gt(min_disp)
    return genes
