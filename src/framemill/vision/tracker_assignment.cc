#include "framemill/vision/tracker_assignment.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>

// Few boxes overlap, so the pairs fall into small groups that share no row and no column. Each
// group is solved alone, and exactly: rows are added one by one, each by the cheapest augmenting
// path over reduced costs (the Hungarian method in the form of Jonker and Volgenant, Computing 38,
// 1987). Pairs that may not match cost 0 and the others less, which makes "unmatched" one of the
// choices.
namespace framemill {
namespace {

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

/// A square-or-wider table of costs.
class CostTable {
 public:
  CostTable(std::size_t rows, std::size_t columns)
      : rows_(rows), columns_(columns), costs_(rows * columns, 0.0) {}
  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::size_t columns() const { return columns_; }
  double& at(std::size_t row, std::size_t column) { return costs_[row * columns_ + column]; }
  [[nodiscard]] double at(std::size_t row, std::size_t column) const {
    return costs_[row * columns_ + column];
  }

 private:
  std::size_t rows_;
  std::size_t columns_;
  std::vector<double> costs_;
};

/// The column of each row in the cheapest complete assignment. Requires rows <= columns.
std::vector<std::size_t> assign_rows(const CostTable& costs) {
  const std::size_t columns = costs.columns();
  std::vector<double> row_price(costs.rows(), 0), column_price(columns, 0);
  std::vector<std::size_t> row_of(columns, kNone), column_of(costs.rows(), kNone);
  std::vector<double> distance(columns);
  std::vector<std::size_t> previous_row(columns);
  std::vector<bool> is_settled(columns);
  for (std::size_t start = 0; start < costs.rows(); ++start) {
    std::ranges::fill(distance, std::numeric_limits<double>::infinity());
    std::fill(is_settled.begin(), is_settled.end(), false);
    // Dijkstra over columns from row `start` to the nearest free column.
    std::size_t row = start;
    double row_distance = 0;
    std::size_t last = kNone;
    while (last == kNone) {
      std::size_t nearest = kNone;
      for (std::size_t c = 0; c < columns; ++c) {
        if (is_settled[c]) continue;
        const double reduced = costs.at(row, c) - row_price[row] - column_price[c];
        if (row_distance + reduced < distance[c]) {
          distance[c] = row_distance + reduced;
          previous_row[c] = row;
        }
        if (nearest == kNone || distance[c] < distance[nearest]) nearest = c;
      }
      is_settled[nearest] = true;
      row_distance = distance[nearest];
      if (row_of[nearest] == kNone)
        last = nearest;
      else
        row = row_of[nearest];
    }
    // Prices keep all reduced costs >= 0 and those of matched pairs at 0.
    row_price[start] += row_distance;
    for (std::size_t c = 0; c < columns; ++c) {
      if (!is_settled[c] || c == last) continue;
      column_price[c] -= row_distance - distance[c];
      row_price[row_of[c]] += row_distance - distance[c];
    }
    while (last != kNone) {
      row_of[last] = previous_row[last];
      std::swap(last, column_of[previous_row[last]]);
    }
  }
  return column_of;
}

/// Where `value` stands among the sorted distinct values of one side of a group.
std::size_t place_of(const std::vector<std::uint32_t>& values, std::uint32_t value) {
  const auto found = std::ranges::lower_bound(values, value);
  return static_cast<std::size_t>(found - values.begin());
}

void assign_group(std::span<const PossibleMatch> group, std::vector<PossibleMatch>& matches) {
  if (group.size() == 1) {
    matches.push_back(group.front());
    return;
  }
  std::vector<std::uint32_t> rows, columns;
  for (const PossibleMatch& pair : group) {
    rows.push_back(pair.row);
    columns.push_back(pair.column);
  }
  for (std::vector<std::uint32_t>* side : {&rows, &columns}) {
    std::ranges::sort(*side);
    side->erase(std::unique(side->begin(), side->end()), side->end());
  }
  const bool is_turned = rows.size() > columns.size();
  CostTable costs(std::min(rows.size(), columns.size()), std::max(rows.size(), columns.size()));
  for (const PossibleMatch& pair : group) {
    const std::size_t row = place_of(rows, pair.row);
    const std::size_t column = place_of(columns, pair.column);
    (is_turned ? costs.at(column, row) : costs.at(row, column)) = -pair.gain;
  }
  const std::vector<std::size_t> column_of = assign_rows(costs);
  for (const PossibleMatch& pair : group) {
    const std::size_t row = place_of(rows, pair.row);
    const std::size_t column = place_of(columns, pair.column);
    if (is_turned ? column_of[column] == row : column_of[row] == column) matches.push_back(pair);
  }
}

/// Finds the representative of a set and shortens the way to it.
std::size_t find_root(std::vector<std::size_t>& parents, std::size_t node) {
  while (parents[node] != node) node = parents[node] = parents[parents[node]];
  return node;
}

}  // namespace

std::vector<PossibleMatch> assign_best(std::span<const PossibleMatch> possible) {
  std::vector<PossibleMatch> pairs;
  std::size_t row_count = 0, column_count = 0;
  for (const PossibleMatch& pair : possible) {
    if (!(pair.gain > 0)) continue;
    pairs.push_back(pair);
    row_count = std::max<std::size_t>(row_count, pair.row + std::size_t{1});
    column_count = std::max<std::size_t>(column_count, pair.column + std::size_t{1});
  }
  std::vector<std::size_t> parents(row_count + column_count);
  std::iota(parents.begin(), parents.end(), std::size_t{0});
  for (const PossibleMatch& pair : pairs)
    parents[find_root(parents, pair.row)] = find_root(parents, row_count + pair.column);

  std::vector<std::pair<std::size_t, std::size_t>> order;  // group, place in pairs
  for (std::size_t i = 0; i < pairs.size(); ++i)
    order.emplace_back(find_root(parents, pairs[i].row), i);
  std::ranges::sort(order);
  std::vector<PossibleMatch> matches, group;
  for (std::size_t i = 0; i < order.size(); ++i) {
    group.push_back(pairs[order[i].second]);
    if (i + 1 < order.size() && order[i + 1].first == order[i].first) continue;
    assign_group(group, matches);
    group.clear();
  }
  std::ranges::sort(matches, {}, &PossibleMatch::row);
  return matches;
}

}  // namespace framemill
