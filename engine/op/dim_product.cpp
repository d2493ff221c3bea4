#include "op/dim_product.h"

#include <algorithm>
#include <charconv>

#include "base/fail.h"

namespace bnrun {
namespace {

std::int64_t multiply(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) {
    fail(ErrorCode::resource_limit, "a product of dimensions exceeds 64 bits");
  }
  return result;
}

/// "2*N" as {"2", "N"}. A name with anything but letters, digits, '_', '.' and '*' is no product: it may be a sum.
std::vector<std::string> factors_of(const std::string& symbol) {
  const bool product = std::all_of(symbol.begin(), symbol.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '*';
  });
  if (!product) return {symbol};
  std::vector<std::string> factors(1);
  for (const char c : symbol) {
    if (c == '*')
      factors.emplace_back();
    else
      factors.back() += c;
  }
  const bool whole = std::none_of(factors.begin(), factors.end(), [](const auto& f) { return f.empty(); });
  return whole ? factors : std::vector<std::string>{symbol};
}

}  // namespace

DimProduct::DimProduct(std::span<const Dim> dims) {
  for (const Dim& dim : dims) *this *= dim;
}

DimProduct DimProduct::of(const ValueType& type, std::size_t first) {
  if (!type.ranked() || type.rank() < first) return unknown();
  return DimProduct(std::span(*type.dims).subspan(first));
}

DimProduct DimProduct::zero() {
  DimProduct product;
  return product *= Dim(0);
}

DimProduct DimProduct::unknown() {
  DimProduct product;
  return product *= Dim();
}

DimProduct& DimProduct::operator*=(const DimProduct& other) {
  known_ = known_ && other.known_;
  factor_ = multiply(factor_, other.factor_);
  symbols_.insert(symbols_.end(), other.symbols_.begin(), other.symbols_.end());
  std::sort(symbols_.begin(), symbols_.end());
  return *this;
}

DimProduct& DimProduct::operator*=(const Dim& dim) {
  if (dim.known()) {
    factor_ = multiply(factor_, dim.extent());
  } else if (!dim.symbolic()) {
    known_ = false;
  } else {
    for (std::string& factor : factors_of(dim.name())) {
      std::int64_t number = 0;
      const auto [end, error] = std::from_chars(factor.data(), factor.data() + factor.size(), number);
      if (error == std::errc() && end == factor.data() + factor.size())
        factor_ = multiply(factor_, number);
      else
        symbols_.insert(std::upper_bound(symbols_.begin(), symbols_.end(), factor), std::move(factor));
    }
  }
  return *this;
}

std::optional<DimProduct> DimProduct::divided_by(const DimProduct& divisor) const {
  if (!known_ || !divisor.known_ || divisor.factor_ == 0 || factor_ % divisor.factor_ != 0)
    return std::nullopt;
  const auto& mine = symbols_;
  const auto& theirs = divisor.symbols_;
  if (!std::includes(mine.begin(), mine.end(), theirs.begin(), theirs.end())) return std::nullopt;
  DimProduct quotient;
  quotient.factor_ = factor_ / divisor.factor_;
  std::set_difference(mine.begin(), mine.end(), theirs.begin(), theirs.end(),
                      std::back_inserter(quotient.symbols_));
  return quotient;
}

std::optional<std::int64_t> DimProduct::number() const {
  return known_ && (symbols_.empty() || factor_ == 0) ? std::optional(factor_) : std::nullopt;
}

Dim DimProduct::as_dim() const {
  if (const auto value = number()) return Dim(*value);
  if (!known_) return Dim();
  return Dim::symbol(factor_ == 1 ? fmt::format("{}", fmt::join(symbols_, "*"))
                                  : fmt::format("{}*{}", factor_, fmt::join(symbols_, "*")));
}

}  // namespace bnrun
