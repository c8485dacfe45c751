-- The features in plain DuckDB SQL, from order lines and events at once, without windows, merging or Ibis: what
-- segmentation_assets.core.features must agree with. Written apart from it, from the descriptions of the features.
--
-- Tables: transactions, events (cleaned), records (customer_id and attributes). Parameters: $as_of, $start (first day of the lookback),
-- $recent_start (first day of its last part), $windows, $recent_windows. Windows are calendar months.
WITH known_lines AS (
    FROM transactions WHERE ordered_at < $as_of
), known_events AS (
    FROM events WHERE event_at < $as_of
), people AS (
    SELECT customer_id FROM known_lines UNION SELECT customer_id FROM known_events UNION SELECT customer_id FROM records
), ever_placed AS (
    SELECT customer_id, order_id, CAST(ordered_at AS DATE) AS day, min(ordered_at) AS placed, sum(amount) AS value,
           sum(quantity) AS units, sum(greatest(discount, 0) + greatest(coupon_discount, 0)) AS discounts,
           sum(greatest(coupon_discount, 0)) AS coupons
    FROM known_lines WHERE NOT is_return GROUP BY ALL
), named_returns AS (
    SELECT customer_id, returned_order_id AS order_id, CAST(ordered_at AS DATE) AS day, amount
    FROM known_lines WHERE is_return AND returned_order_id IS NOT NULL
), undone AS (
    SELECT placed.customer_id, placed.order_id, placed.day FROM named_returns AS back
    ASOF JOIN ever_placed AS placed ON back.customer_id = placed.customer_id AND back.order_id = placed.order_id AND back.day >= placed.day
    GROUP BY ALL HAVING any_value(placed.value) + sum(back.amount) <= 0
), counted AS (
    FROM ever_placed ANTI JOIN undone USING (customer_id, order_id, day)
), ever AS (
    SELECT customer_id, min(ordered_at) FILTER (NOT is_return) AS first_at,
           (SELECT max(placed) FROM counted WHERE counted.customer_id = known_lines.customer_id) AS last_at, bool_or(is_return) AS ever_returned
    FROM known_lines GROUP BY ALL
), lines AS (
    FROM known_lines WHERE ordered_at >= $start
), orders AS (
    FROM counted WHERE day >= $start
), by_line AS (
    SELECT customer_id, sum(amount)::DOUBLE AS monetary, count(*) FILTER (is_return) / count(*) AS return_share FROM lines GROUP BY ALL
), by_order AS (
    SELECT customer_id, count(*) AS n, sum(units)::DOUBLE AS units, sum(discounts)::DOUBLE AS discounts,
           stddev_samp(value::DOUBLE) / nullif(avg(value::DOUBLE), 0) AS order_value_spread,
           count(*) FILTER (coupons > 0) / count(*) AS coupon_order_share,
           count(*) FILTER (isodow(day) IN (6, 7)) / count(*) AS weekend_share,
           count(*) FILTER (hour(placed) BETWEEN 6 AND 11) / nullif(count(*) FILTER (placed::TIME >= '00:00:01'), 0) AS morning_share,
           count(*) FILTER (hour(placed) BETWEEN 12 AND 17) / nullif(count(*) FILTER (placed::TIME >= '00:00:01'), 0) AS afternoon_share,
           count(*) FILTER (hour(placed) BETWEEN 18 AND 21) / nullif(count(*) FILTER (placed::TIME >= '00:00:01'), 0) AS evening_share,
           count(*) FILTER (placed::TIME >= '00:00:01' AND (hour(placed) >= 22 OR hour(placed) < 6)) / nullif(count(*) FILTER (placed::TIME >= '00:00:01'), 0) AS night_share,
           count(*) FILTER (day >= $recent_start) AS recent_n,
           count(DISTINCT date_trunc('month', day)) AS active_months, min(day) AS first_day,
           sum(value) FILTER (day >= $recent_start)::DOUBLE AS recent_value, sum(value)::DOUBLE AS total_value
    FROM orders GROUP BY customer_id
), gaps AS (
    SELECT customer_id, day - lag(day) OVER (PARTITION BY customer_id ORDER BY day) AS gap FROM (SELECT DISTINCT customer_id, day FROM orders)
), by_gap AS (
    SELECT customer_id, avg(gap) AS mean_gap_days, stddev_samp(gap) AS sd_gap_days FROM gaps GROUP BY ALL
), categories AS (
    SELECT customer_id, category, sum(amount)::DOUBLE AS spent,
           sum(amount)::DOUBLE / nullif(sum(sum(amount)) OVER (PARTITION BY customer_id)::DOUBLE, 0) AS share
    FROM lines WHERE NOT is_return GROUP BY customer_id, category
), by_category AS (
    SELECT customer_id, count(*) AS categories, first(category ORDER BY spent DESC, category) AS top_category, max(share) AS top_category_share,
           -sum(CASE WHEN share > 0 THEN share * ln(share) WHEN share = 0 THEN 0 END) AS category_entropy
    FROM categories GROUP BY customer_id
), recent_events AS (
    FROM known_events WHERE event_at >= $start
), by_event AS (
    SELECT customer_id, count(*) AS events, max(event_at) AS last_at,
           count(*) FILTER (event_type = 'campaign_received') AS received, max(event_at) FILTER (event_type = 'campaign_received') AS received_at,
           count(*) FILTER (event_type = 'coupon_redeemed') AS redeemed, max(event_at) FILTER (event_type = 'coupon_redeemed') AS redeemed_at,
           count(DISTINCT subject) FILTER (event_type = 'campaign_received') AS campaigns_received
    FROM recent_events GROUP BY ALL
), by_campaign AS (
    SELECT customer_id, count(DISTINCT received.subject) AS answered
    FROM recent_events AS received JOIN recent_events AS response USING (customer_id, subject)
    WHERE received.event_type = 'campaign_received' AND response.event_type = 'coupon_redeemed' GROUP BY ALL
), tenure AS (
    SELECT *, CASE WHEN first_at IS NOT NULL THEN least($windows, date_diff('month', date_trunc('month', first_at), CAST($as_of AS DATE))) END AS known_windows,
           known_windows - $recent_windows AS earlier_windows
    FROM ever
)
SELECT customer_id,
       CASE WHEN n > 0 THEN 'active' WHEN tenure.last_at IS NOT NULL THEN 'lapsed'
            WHEN first_at IS NOT NULL OR ever_returned THEN 'returned' ELSE 'prospect' END AS status,
       date_diff('day', tenure.last_at::DATE, CAST($as_of AS DATE))::DOUBLE AS recency_days,
       coalesce(n, 0)::DOUBLE AS frequency, coalesce(monetary, 0) AS monetary,
       date_diff('day', first_at::DATE, CAST($as_of AS DATE))::DOUBLE AS tenure_days,
       total_value / n AS average_order_value, units / n AS items_per_order, order_value_spread, mean_gap_days, sd_gap_days,
       recency_days / mean_gap_days AS overdue_ratio,
       CASE WHEN first_at < $start THEN date_diff('day', CAST($start AS DATE), first_day)::DOUBLE END AS opening_pause_days,
       coalesce(active_months, 0) / known_windows AS active_window_share,
       CASE WHEN earlier_windows > 0 THEN
           (coalesce(recent_value, 0) / $recent_windows - (total_value - coalesce(recent_value, 0)) / earlier_windows)
           / nullif(coalesce(recent_value, 0) / $recent_windows + (total_value - coalesce(recent_value, 0)) / earlier_windows, 0) END AS spend_trend,
       CASE WHEN earlier_windows > 0 THEN
           (recent_n / $recent_windows - (n - recent_n) / earlier_windows) / (recent_n / $recent_windows + (n - recent_n) / earlier_windows) END AS order_trend,
       CASE WHEN n > 0 THEN categories::DOUBLE END AS categories, CASE WHEN n > 0 THEN top_category_share END AS top_category_share,
       CASE WHEN n > 0 THEN category_entropy END AS category_entropy, CASE WHEN n > 0 THEN top_category END AS top_category,
       discounts / nullif(total_value + discounts, 0) AS discount_share, coupon_order_share,
       CASE WHEN n > 0 THEN return_share END AS return_share,
       weekend_share, morning_share, afternoon_share, evening_share, night_share,
       coalesce(events, 0)::DOUBLE AS events, date_diff('day', by_event.last_at::DATE, CAST($as_of AS DATE))::DOUBLE AS event_recency_days,
       coalesce(campaigns_received, 0)::DOUBLE AS campaigns_received,
       coalesce(answered, 0) / nullif(campaigns_received, 0) AS campaign_response_share,
       NULL::DOUBLE AS age_years,
       coalesce(received, 0)::DOUBLE AS campaign_received_count, date_diff('day', received_at::DATE, CAST($as_of AS DATE))::DOUBLE AS campaign_received_recency_days,
       coalesce(redeemed, 0)::DOUBLE AS coupon_redeemed_count, date_diff('day', redeemed_at::DATE, CAST($as_of AS DATE))::DOUBLE AS coupon_redeemed_recency_days
FROM people LEFT JOIN tenure USING (customer_id) LEFT JOIN by_line USING (customer_id) LEFT JOIN by_order USING (customer_id)
LEFT JOIN by_gap USING (customer_id) LEFT JOIN by_category USING (customer_id) LEFT JOIN by_event USING (customer_id) LEFT JOIN by_campaign USING (customer_id)
ORDER BY customer_id
