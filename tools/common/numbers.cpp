#include "common/numbers.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string>

namespace bnrun::cli {
namespace {

/// `wanted` completes "0 is not ...".
CLI::Validator number_where(bool (*fits)(double), const std::string& wanted) {
  const auto check = [=](const std::string& text) {
    double number = 0.0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    const bool good = error == std::errc{} && end == last && std::isfinite(number) && fits(number);
    return good ? std::string() : fmt::format("'{}' is not {}", text, wanted);
  };
  return CLI::Validator(check, "");
}

/// Of a number that an int must hold.
CLI::Validator whole_number(int least, const std::string& wanted) {
  const auto check = [=](const std::string& text) {
    int number = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    if (error == std::errc::result_out_of_range && end == last && text[0] != '-')
      return fmt::format("'{}' is too large", text);
    const bool good = error == std::errc{} && end == last && number >= least;
    return good ? std::string() : fmt::format("'{}' is not {}", text, wanted);
  };
  return CLI::Validator(check, "");
}

}  // namespace

CLI::Validator positive_number() {
  return number_where([](double x) { return x > 0.0; }, "a positive number");
}

CLI::Validator number_of_zero_or_more() {
  return number_where([](double x) { return x >= 0.0; }, "a number of 0 or more");
}

CLI::Validator fraction() {
  return number_where([](double x) { return x >= 0.0 && x < 1.0; }, "a number from 0 to below 1");
}

CLI::Validator count() {
  return whole_number(1, "a whole number above 0");
}

CLI::Validator count_or_zero() {
  return whole_number(0, "a whole number of 0 or more");
}

CLI::Validator not_empty() {
  return CLI::Validator(
      [](const std::string& text) { return std::string(text.empty() ? "'' says nothing" : ""); }, "");
}

}  // namespace bnrun::cli
