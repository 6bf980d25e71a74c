"""How far a share that was counted on some pictures may be from that of all pictures like them."""

from math import sqrt

Z_95 = 1.959963984540054  # the 97.5 % quantile of the standard normal distribution


def wilson(part: int, whole: int) -> tuple[float, float] | None:
    """The 95 % confidence interval of ``part / whole``, as two shares from 0 to 1; None if ``whole`` is 0.

    The score interval of E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal
    of the American Statistical Association 22 (1927), 209-212. It holds for few pictures and for shares of 0 and 1 too,
    as L. D. Brown, T. T. Cai and A. DasGupta found in "Interval estimation for a binomial proportion", Statistical
    Science 16 (2001), 101-133. It takes pictures as drawn independently: near duplicates make it too narrow.
    """
    if not whole:
        return None
    share, squared = part / whole, Z_95**2
    centre = share + squared / (2 * whole)
    reach = Z_95 * sqrt(share * (1 - share) / whole + squared / (4 * whole**2))
    low, high = ((centre + side * reach) / (1 + squared / whole) for side in (-1, 1))
    # At the ends the formula gives 0 and 1 but for rounding.
    return (0.0 if part == 0 else low, 1.0 if part == whole else high)
