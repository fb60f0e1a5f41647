import * as echarts from 'echarts';

/** A measured value with its interval, where it has one. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
}

export interface Curve {
  readonly name: string;
  readonly points: readonly Point[];
  /** For what was computed from others, not measured. */
  readonly isDashed?: boolean;
}

export interface Bar {
  readonly name: string;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
}

interface Picture {
  readonly title: string;
  /** The machine, the model, how it was measured: under the title. */
  readonly subtitle?: string;
  readonly yName: string;
  readonly width?: number;
  readonly height?: number;
}

export interface CurvesPicture extends Picture {
  readonly xName: string;
  /** 'log' for powers of two. */
  readonly xScale?: 'value' | 'log';
  readonly yScale?: 'value' | 'log';
}

export interface BarsPicture extends Picture {
  /** A dashed line across all bars, AR's speed say. */
  readonly reference?: { readonly name: string; readonly y: number };
}

/** Okabe and Ito's colours, which people with any colour vision tell apart, and two more for pictures of many curves. */
const COLOURS = [
  ...['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'],
  ...['#999999', '#8b4513'],
];
const CAP_WIDTH = 6;

/** Curves with their intervals as error bars, as an SVG. */
export function drawCurves(curves: readonly Curve[], picture: CurvesPicture): string {
  const { xName, yName, xScale = 'value', yScale = 'value' } = picture;
  const axis = (type: 'value' | 'log') => ({ type, ...(type === 'log' ? { logBase: 2 } : {}) });
  return render(picture, {
    legend: { bottom: 0, itemGap: 20 },
    xAxis: { ...axis(xScale), name: xName, nameLocation: 'middle', nameGap: 28 },
    yAxis: { ...axis(yScale), name: yName, nameLocation: 'middle', nameGap: 48 },
    series: curves.flatMap((curve, index) =>
      curveSeries(curve, COLOURS[index % COLOURS.length] ?? '#000000'),
    ),
  });
}

/** One bar a name with its interval, as an SVG. */
export function drawBars(bars: readonly Bar[], picture: BarsPicture): string {
  const { reference } = picture;
  const line = reference && {
    silent: true,
    symbol: 'none',
    lineStyle: { type: 'dashed' as const, color: '#555555' },
    label: { formatter: reference.name, position: 'insideEndTop' as const },
    data: [{ yAxis: reference.y }],
  };
  return render(picture, {
    xAxis: { type: 'category', data: bars.map(({ name }) => name), axisLabel: { interval: 0 } },
    yAxis: { type: 'value', name: picture.yName, nameLocation: 'middle', nameGap: 48 },
    series: [
      {
        type: 'bar',
        data: bars.map(({ y }) => y),
        color: COLOURS[0],
        barMaxWidth: 40,
        ...(line ? { markLine: line } : {}),
      },
      errorBars(
        bars.map(({ low, high }, index) => [index, low, high]),
        '#333333',
      ),
    ],
  });
}

function render(picture: Picture, option: echarts.EChartsCoreOption): string {
  const { title, subtitle, width = 900, height = 460 } = picture;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      title: { text: title, ...(subtitle === undefined ? {} : { subtext: subtitle }), left: 'center' },
      grid: { left: 75, right: 30, top: subtitle === undefined ? 50 : 70, bottom: 75 },
      ...option,
    });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

function curveSeries({ name, points, isDashed = false }: Curve, color: string): echarts.SeriesOption[] {
  return [
    {
      type: 'line',
      name,
      color,
      symbolSize: 6,
      lineStyle: { width: 2, type: isDashed ? 'dashed' : 'solid' },
      data: points.map(({ x, y }) => [x, y]),
    },
    errorBars(
      points.map(({ x, low, high }) => [x, low, high]),
      color,
    ),
  ];
}

/** [x, low, high] each; without a bound there is nothing to draw. */
function errorBars(
  bounds: readonly (readonly [number, number | undefined, number | undefined])[],
  color: string,
): echarts.CustomSeriesOption {
  const isBounded = (bound: number | undefined): boolean => bound !== undefined && Number.isFinite(bound);
  return {
    type: 'custom',
    silent: true,
    z: 3,
    data: bounds.filter(([, low, high]) => isBounded(low) && isBounded(high)).map((bound) => [...bound]),
    encode: { x: 0, y: [1, 2] },
    renderItem: (_, api) => {
      const [x = 0, low = 0] = api.coord([api.value(0), api.value(1)]);
      const [, high = 0] = api.coord([api.value(0), api.value(2)]);
      const cap = (y: number): string => `M${x - CAP_WIDTH / 2} ${y}H${x + CAP_WIDTH / 2}`;
      return {
        type: 'path',
        shape: { pathData: `M${x} ${low}V${high}${cap(low)}${cap(high)}` },
        style: { stroke: color, fill: 'none', lineWidth: 1.5 },
      };
    },
  };
}
